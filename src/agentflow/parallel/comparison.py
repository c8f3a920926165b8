"""Comparison: what several models answered to several prompts, as a table that can be shown and kept.

What must not live here: asking a model (`compare.py`).
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agentflow.errors import MissingExtraError

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model answered to one prompt.

    Attributes:
        prompt: The prompt.
        model: The model.
        text: The answer; "" when it failed.
        latency: Seconds, retries included.
        input_tokens: Tokens sent.
        output_tokens: Tokens received.
        cost: US dollars, None when no price is known.
        error: Why it failed, in words; None when it did not.
    """

    prompt: str
    model: str
    text: str = ""
    latency: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    error: str | None = None

    @property
    def facts(self) -> str:
        """Latency, tokens and cost on one line; the failure when it failed."""
        if self.error is not None:
            return f"failed after {self.latency:.2f} s: {self.error}"
        cost = "no known price" if self.cost is None else f"${self.cost:.6f}"
        return f"{self.latency:.2f} s, {self.input_tokens} + {self.output_tokens} tokens, {cost}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a judge ranked the answers to one prompt.

    Attributes:
        prompt: The prompt.
        ranking: The models, best first; those that failed are not in it.
        reason: Why, in the judge's words; why there is no ranking, if there is none.
        cost: US dollars that the judge took, None when no price is known or it was not asked.
    """

    prompt: str
    ranking: tuple[str, ...]
    reason: str
    cost: float | None = None

    @property
    def text(self) -> str:
        """The prompt, and below it the models from best to worst and the reason."""
        order = f"best first: {', '.join(self.ranking)}. " if self.ranking else ""
        return f"{self.prompt}\n{order}{self.reason}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows are prompts, columns are models.

    Attributes:
        prompts: The prompts, in the order they were given.
        models: The models, in the order they were given.
        cells: One for every prompt and model, prompt by prompt.
        verdicts: One a prompt when there was a judge.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    cells: tuple[Cell, ...]
    verdicts: tuple[Verdict, ...] = ()

    def __getitem__(self, place: tuple[int, int]) -> Cell:
        """The cell of a row and a column, both counted from 0."""
        row, column = place
        return self.cells[range(len(self.prompts))[row] * len(self.models) + range(len(self.models))[column]]

    @property
    def rows(self) -> list[list[Cell]]:
        """The cells, a list a prompt."""
        width = len(self.models)
        return [list(self.cells[start : start + width]) for start in range(0, len(self.cells), width)]

    @property
    def failures(self) -> list[Cell]:
        """The cells that failed."""
        return [cell for cell in self.cells if cell.error is not None]

    @property
    def cost(self) -> float | None:
        """US dollars of everything whose price is known, the judge's verdicts included; None when nothing's is."""
        costs = [cell.cost for cell in self.cells] + [verdict.cost for verdict in self.verdicts]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known else None

    def table(self) -> Table:
        """A table for the terminal, to be printed by rich.

        Raises:
            MissingExtraError: rich is not installed.
        """
        try:
            from rich.table import Table
            from rich.text import Text
        except ImportError:
            raise MissingExtraError("the table of a comparison", "cli") from None
        table = Table(show_lines=True, title=self._title(), caption_justify="left")
        table.add_column("prompt", style="bold", ratio=1)
        for model in self.models:
            table.add_column(Text(model), ratio=2, overflow="fold")  # a name in brackets is no markup
        for prompt, row in zip(self.prompts, self.rows, strict=True):
            shown = [
                Text.assemble((cell.text, ""), "\n" if cell.text else "", (cell.facts, "red" if cell.error else "dim"))
                for cell in row
            ]
            table.add_row(Text(prompt), *shown)
        if self.verdicts:
            table.caption = Text("\n".join(verdict.text for verdict in self.verdicts))
        return table

    def to_markdown(self) -> str:
        """A table in Markdown."""
        lines = [
            "| prompt | " + " | ".join(map(_cell_markdown, self.models)) + " |",
            "|---" * (len(self.models) + 1) + "|",
        ]
        for prompt, row in zip(self.prompts, self.rows, strict=True):
            shown = [f"{_cell_markdown(cell.text)}<br>*{_cell_markdown(cell.facts)}*" for cell in row]
            lines.append(f"| {_cell_markdown(prompt)} | " + " | ".join(shown) + " |")
        lines += [f"\n{_cell_markdown(verdict.text)}" for verdict in self.verdicts]
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def to_html(self) -> str:
        """One page that needs nothing else: no script, no style sheet, no picture from elsewhere."""
        head = "".join(f"<th scope=col>{html.escape(model)}</th>" for model in self.models)
        rows = "".join(
            f"<tr><th scope=row>{html.escape(prompt)}</th>{''.join(map(_cell_html, row))}</tr>"
            for prompt, row in zip(self.prompts, self.rows, strict=True)
        )
        verdicts = "".join(f"<p>{_lines_html(verdict.text)}</p>" for verdict in self.verdicts)
        return _PAGE.format(title=html.escape(self._title()), head=head, rows=rows, verdicts=verdicts)

    def _title(self) -> str:
        cost = "" if self.cost is None else f", ${self.cost:.6f}"
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"{_count(self.prompts, 'prompt')} x {_count(self.models, 'model')}{failed}{cost}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color: #1c1e21; background: #fff }}
table {{ border-collapse: collapse; width: 100%; table-layout: fixed }}
th, td {{ border: 1px solid #d0d4d9; padding: .75rem; text-align: left; vertical-align: top; overflow-wrap: anywhere }}
thead th {{ background: #f3f4f6 }} pre {{ font: inherit; white-space: pre-wrap; margin: 0 0 .5rem }}
small {{ color: #5b6169 }} .failed {{ background: #fdecea }} .failed small {{ color: #9b1c13 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #e6e8eb; background: #16181c }} thead th {{ background: #23262b }}
th, td {{ border-color: #3a3f47 }} small {{ color: #a3abb5 }}
.failed {{ background: #3a1d1b }} .failed small {{ color: #f0a39c }} }}
</style></head><body><h1>{title}</h1>
<table><thead><tr><th scope="col">prompt</th>{head}</tr></thead><tbody>{rows}</tbody></table>{verdicts}
</body></html>
"""


def _cell_html(cell: Cell) -> str:
    kind = " class=failed" if cell.error is not None else ""
    text = f"<pre>{html.escape(cell.text)}</pre>" if cell.text else ""
    return f"<td{kind}>{text}<small>{html.escape(cell.facts)}</small></td>"


def _cell_markdown(text: str) -> str:
    return _lines_html(text).replace("|", "\\|")


def _lines_html(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>")


def _count(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"

"""compare: the same prompts to several models at once; a failure is a cell, not the end.

What must not live here: how the result is shown (`comparison.py`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Unpack

from agentflow.errors import BuildError, ProviderError, RunError
from agentflow.llm import Options, acomplete, astructured, complete, structured
from agentflow.nursery import Stop, run_all
from agentflow.parallel.comparison import Cell, Comparison, Verdict
from agentflow.parallel.plan import MAX_CONCURRENCY, check_concurrency
from agentflow.runtime import ASYNC, BLOCKING, Runtime, run_blocking

if TYPE_CHECKING:
    from pydantic import BaseModel

#: Told of each cell as it comes, with its row and column counted from 0.
OnCell = Callable[[int, int, Cell], Any]


def compare(
    prompts: Sequence[str],
    models: Sequence[str],
    *,
    judge: str | None = None,
    max_concurrency: int = MAX_CONCURRENCY,
    on_cell: OnCell | None = None,
    options_for: Mapping[str, Options] | None = None,
    **options: Unpack[Options],
) -> Comparison:
    """Ask every model every prompt, all at once, and put the answers side by side.

    Args:
        prompts: The prompts.
        models: Names of models, as litellm knows them.
        judge: A model that ranks the answers to each prompt, without knowing whose they are. Of `options` it gets those
            that say how a model is reached; its own are in `options_for`.
        max_concurrency: How many calls are made at once.
        on_cell: Told of each answer or failure as it comes.
        options_for: Options of single models, such as an `api_base`, beside those of all.
        options: Options of every call; see `agentflow.llm.Options`.

    Raises:
        BuildError: There are no prompts or no models, or one of them twice, or no call may be made at once.
        MissingExtraError: litellm is not installed.

    Example:
        >>> print(compare(["Why is the sky blue?"], ["gpt-4o-mini", "gemini/gemini-2.5-flash"]).to_markdown())
    """
    asking = _Asking(BLOCKING, prompts, models, max_concurrency, on_cell, options_for or {}, options)
    return run_blocking(asking.compared(judge))


async def acompare(
    prompts: Sequence[str],
    models: Sequence[str],
    *,
    judge: str | None = None,
    max_concurrency: int = MAX_CONCURRENCY,
    on_cell: OnCell | None = None,
    options_for: Mapping[str, Options] | None = None,
    **options: Unpack[Options],
) -> Comparison:
    """The async twin of `compare`."""
    asking = _Asking(ASYNC, prompts, models, max_concurrency, on_cell, options_for or {}, options)
    return await asking.compared(judge)


class _Asking:
    """One comparison on its way."""

    def __init__(
        self,
        runtime: Runtime,
        prompts: Sequence[str],
        models: Sequence[str],
        max_concurrency: int,
        on_cell: OnCell | None,
        options_for: Mapping[str, Options],
        options: Options,
    ) -> None:
        for what, given in (("prompts", prompts), ("models", models)):
            if isinstance(given, str) or not isinstance(given, Collection) or not given:
                raise BuildError(f"compare() has no list of {what}: pass a list with at least one.")
            if odd := [one for one in given if not isinstance(one, str)]:
                raise BuildError(f"compare() has {odd[0]!r} among its {what}: each has to be a text.")
            if len(set(given)) < len(given):
                raise BuildError(f"compare() has one of its {what} twice: name each once.")
        check_concurrency(max_concurrency)
        self.runtime, self.prompts, self.models = runtime, tuple(prompts), tuple(models)
        self.max_concurrency, self.on_cell = max_concurrency, on_cell
        self.options_for, self.options = options_for, options

    async def compared(self, judge: str | None) -> Comparison:
        asked = [_Job(self._cell(prompt, model)) for prompt in self.prompts for model in self.models]
        cells: list[Cell] = await self._all(asked, self._tell)
        done = Comparison(self.prompts, self.models, tuple(cells))
        if judge is None:
            return done
        judged = [_Job(self._verdict(judge, prompt, row)) for prompt, row in zip(done.prompts, done.rows, strict=True)]
        verdicts: list[Verdict] = await self._all(judged, lambda index, value: None)
        return Comparison(done.prompts, done.models, done.cells, tuple(verdicts))

    async def _all(self, jobs: Sequence[_Job], tell: Callable[[int, Any], None]) -> list[Any]:
        found: dict[int, Any] = {}
        failed: list[BaseException] = []

        def on_end(position: int, value: Any, error: BaseException | None) -> bool:
            if error is not None:
                failed.append(error)
                return True
            found[position] = value
            tell(position, value)
            return False

        await run_all(self.runtime, jobs, self.max_concurrency, on_end, Stop(), hear_each=True)
        if failed:
            raise failed[0]
        return [found[index] for index in range(len(jobs))]

    def _tell(self, index: int, cell: Cell) -> None:
        if self.on_cell is not None:
            self.on_cell(*divmod(index, len(self.models)), cell)

    def _cell(self, prompt: str, model: str) -> Callable[[], Coroutine[Any, Any, Cell]]:
        async def ask() -> Cell:
            started = time.perf_counter()
            try:
                verb = self.runtime.pick(complete, acomplete)
                done = await self.runtime.call(
                    verb, model, prompt, **{**self.options, **self.options_for.get(model, {})}
                )
            except ProviderError as error:
                return Cell(prompt, model, latency=time.perf_counter() - started, error=str(error))
            usage = done.usage
            return Cell(prompt, model, done.text, usage.latency, usage.input_tokens, usage.output_tokens, usage.cost)

        return ask

    def _verdict(self, judge: str, prompt: str, row: Sequence[Cell]) -> Callable[[], Coroutine[Any, Any, Verdict]]:
        answers = {f"answer {number}": cell for number, cell in enumerate((c for c in row if c.error is None), 1)}

        async def ask() -> Verdict:
            if len(answers) < 2:
                return Verdict(prompt, tuple(cell.model for cell in answers.values()), "There was nothing to compare.")
            verb = self.runtime.pick(structured, astructured)
            try:
                done = await self.runtime.call(
                    verb, _ranking_model(tuple(answers)), judge, _question(prompt, answers), **self._judging(judge)
                )
            except ProviderError as error:
                return Verdict(prompt, (), f"The judge failed: {error}")
            models = {name: cell.model for name, cell in answers.items()}
            ranking = tuple(models[name] for name in done.value.best_first)
            return Verdict(prompt, ranking, _told(done.value.reason, models), done.usage.cost)

        return ask

    def _judging(self, judge: str) -> dict[str, Any]:
        """The judge is reached like the others, but what they are told to be is not for it."""
        shared = {name: value for name, value in self.options.items() if name in _REACHING}
        return {"temperature": 0.0, **shared, **self.options_for.get(judge, {})}


#: The options of all calls that say how a model is reached, not how it answers.
_REACHING = ("api_base", "api_key", "timeout", "deadline", "policy")


class _Job:
    """A flow for the nursery."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._make = make

    def flow(self, index: int, stop: Stop) -> Coroutine[Any, Any, Any]:
        return self._make()

    def portable(self) -> Any:
        raise RunError("a comparison runs in threads of its own.")


def _question(prompt: str, answers: Mapping[str, Cell]) -> str:
    listed = "\n\n".join(f"### {name}\n{cell.text}" for name, cell in answers.items())
    return (
        "Rank the answers to this prompt from best to worst, by how correct, complete and clear they are. "
        f"Name every answer once and say in one or two sentences why.\n\n## Prompt\n{prompt}\n\n## Answers\n{listed}"
    )


def _told(reason: str, models: Mapping[str, str]) -> str:
    """The judge's reason with the models in place of what it knew them by."""
    return re.sub(r"\banswer \d+\b", lambda found: models.get(found[0].lower(), found[0]), reason, flags=re.IGNORECASE)


def _ranking_model(names: tuple[str, ...]) -> type[BaseModel]:
    from pydantic import AfterValidator, Field, create_model

    def each_once(ranked: list[str]) -> list[str]:
        if sorted(ranked) != sorted(names):
            raise ValueError(f"name each of these exactly once: {', '.join(names)}")
        return ranked

    each = Literal[names]  # type: ignore[valid-type]
    return create_model(
        "Ranking",
        best_first=Annotated[list[each], AfterValidator(each_once)],
        reason=(str, Field(description="Why the first is the best, in one or two sentences.")),
    )

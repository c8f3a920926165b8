"""A comparison as a table, Markdown, JSON and one page of HTML: nothing a model says can break out of its cell."""

from __future__ import annotations

import io
import json
import sys
from html.parser import HTMLParser

import pytest
from rich.console import Console

from agentflow.errors import MissingExtraError
from agentflow.parallel import Cell, Comparison, Verdict

EVIL = "<script>alert('x')</script> | a\nb & \"c\" [red]d[/red] {e}"
ANSWERED = Cell(EVIL, "m|1", EVIL, 1.234, 10, 5, 0.000123)
UNPRICED = Cell(EVIL, "[m2]", "plain", 0.5, 1, 2)
FAILED = Cell("two", "m|1", latency=2.0, error=f"HTTP 503: {EVIL}")
LAST = Cell("two", "[m2]", "fine", 0.1, 1, 1, 0.000002)
DONE = Comparison((EVIL, "two"), ("m|1", "[m2]"), (ANSWERED, UNPRICED, FAILED, LAST))
JUDGED = Comparison(
    DONE.prompts,
    DONE.models,
    DONE.cells,
    (Verdict(EVIL, ("[m2]", "m|1"), f"Because {EVIL}"), Verdict("two", ("[m2]",), "There was nothing to compare.")),
)


class Page(HTMLParser):
    """What a browser makes of a page: the tags with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def printed(comparison: Comparison, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(comparison.table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_cell_says_what_it_took_or_why_it_failed() -> None:
    assert "1.23 s, 10 + 5 tokens, $0.000123" == ANSWERED.facts
    assert "0.50 s, 1 + 2 tokens, no known price" == UNPRICED.facts
    assert f"failed after 2.00 s: HTTP 503: {EVIL}" == FAILED.facts


def test_rows_are_prompts_and_columns_are_models() -> None:
    assert [[ANSWERED, UNPRICED], [FAILED, LAST]] == DONE.rows
    assert (UNPRICED, LAST, [FAILED]) == (DONE[0, 1], DONE[-1, -1], DONE.failures)
    for outside in ((2, 0), (0, 2), (-3, 0)):
        with pytest.raises(IndexError):
            DONE[outside]


def test_the_cost_is_that_of_the_cells_whose_price_is_known() -> None:
    assert pytest.approx(0.000125) == DONE.cost
    assert None is Comparison(("p",), ("m",), (Cell("p", "m"),)).cost
    verdicts = (Verdict("p", ("m",), "it is best", 0.5), Verdict("q", ("m",), "no price is known"))
    assert 0.75 == Comparison(("p",), ("m",), (Cell("p", "m", cost=0.25),), verdicts).cost


def test_markdown_is_one_line_a_row_with_as_many_cells() -> None:
    lines = DONE.to_markdown().splitlines()
    assert 4 == len(lines)
    assert "|---|---|---|" == lines[1]
    for line in lines:
        assert 4 == line.replace("\\|", "").count("|")
        assert "<script>" not in line
    assert r"&lt;script&gt;alert('x')&lt;/script&gt; \| a<br>b &amp;" in lines[2]


def test_markdown_says_the_verdicts_below_the_table() -> None:
    below = JUDGED.to_markdown().splitlines()[4:]
    assert ["", "", "two<br>best first: [m2]. There was nothing to compare."] == [below[0], *below[2:]]
    assert ("<br>best first: [m2], m\\|1. Because &lt;script&gt;" in below[1], 4) == (True, len(below))


def test_json_is_everything_as_it_is() -> None:
    read = json.loads(JUDGED.to_json())
    assert ([EVIL, "two"], ["m|1", "[m2]"]) == (read["prompts"], read["models"])
    assert [EVIL, "plain", "", "fine"] == [cell["text"] for cell in read["cells"]]
    assert (None, FAILED.error) == (read["cells"][0]["error"], read["cells"][2]["error"])
    verdict = {"prompt": "two", "ranking": ["[m2]"], "reason": "There was nothing to compare.", "cost": None}
    assert verdict == read["verdicts"][1]


def test_html_is_one_page_that_loads_and_runs_nothing() -> None:
    page = Page(JUDGED.to_html())
    assert JUDGED.to_html().startswith("<!doctype html>")
    names = [tag for tag, _ in page.tags]
    assert set() == set(names) & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    wanted = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert [] == wanted
    assert [] == [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert ("url(" in JUDGED.to_html(), "@import" in JUDGED.to_html()) == (False, False)


def test_html_shows_what_was_said_as_it_was_said() -> None:
    page = Page(DONE.to_html())
    assert 3 == sum(text == EVIL for text in page.texts) + sum(text == FAILED.facts for text in page.texts)
    assert ["prompt", "m|1", "[m2]"] == [text for text in page.texts if text in ("prompt", "m|1", "[m2]")]
    assert 1 == sum(attributes.get("class") == "failed" for _, attributes in page.tags)


def test_html_says_the_verdicts() -> None:
    assert "best first: [m2]. There was nothing to compare." in Page(JUDGED.to_html()).texts


def test_the_title_counts() -> None:
    assert "<title>2 prompts x 2 models, 1 failed, $0.000125</title>" in DONE.to_html()
    assert "<title>1 prompt x 1 model</title>" in Comparison(("p",), ("m",), (Cell("p", "m", "t"),)).to_html()


def test_the_table_shows_models_prompts_and_answers_without_markup() -> None:
    text = printed(DONE)
    for shown in ("[m2]", "m|1", "[red]d[/red]", "1.23 s, 10 + 5 tokens", "failed after 2.00 s", "fine"):
        assert (shown, True) == (shown, shown in text)
    assert "best first" not in text


def test_the_table_says_the_verdicts_below() -> None:
    assert "best first: [m2]. There was nothing to compare." in printed(JUDGED)


def test_a_long_name_of_a_model_is_not_cut_short() -> None:
    name = "provider/a-model-with-a-rather-long-name-2026-01-01"
    text = printed(Comparison(("p",), (name, "m"), (Cell("p", name), Cell("p", "m"))), width=60)
    heads = [line.split("┃")[2].strip() for line in text.splitlines() if line.startswith("┃")]
    assert name == "".join(heads)


def test_without_rich_the_table_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.table", None)
    with pytest.raises(MissingExtraError, match="the 'cli' extra"):
        DONE.table()

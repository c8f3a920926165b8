"""`agentflow eval`: how well the choice that leaves a source is made, measured on labelled cases.

What must not live here: measuring (`agentflow.select.lab`).
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from agentflow.cli._files import check_place, write
from agentflow.cli._loading import load_graph, load_selector
from agentflow.errors import InputError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from agentflow.graph import Graph
    from agentflow.select import LLMDecider
    from agentflow.select.choice import Edges
    from agentflow.select.lab import Comparison

NAME = "eval"
HELP = "measure how well the choice leaving a source is made, on labelled cases"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `agentflow eval` takes."""
    parser.add_argument("graph", help="module:name of a graph, an application, a builder, or a function that makes one")
    parser.add_argument("source", help="the action, or named choice, whose choice is measured")
    parser.add_argument("cases", help='a JSONL file; a line is {"input": "a text", "target": "a name"}')
    parser.add_argument(
        "--decider",
        action="append",
        default=[],
        metavar="NAME=MODULE:NAME",
        help="another selector to measure beside it, on the same targets and cases; may be repeated",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="another model to put the same choice to; may be repeated",
    )
    parser.add_argument("--api-base", metavar="URL", help="the OpenAI-style server that serves every --model")
    parser.add_argument("--key", help="the state key that a case's text is the value of")
    parser.add_argument("--concurrency", type=int, default=16, metavar="N", help="cases at once (default: 16)")
    parser.add_argument("--json", metavar="FILE", help="write all figures and outcomes as JSON; - for the terminal")
    parser.add_argument("--html", metavar="FILE", help="write all figures as an HTML page")
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")
    parser.add_argument(
        "--min-accuracy", type=float, metavar="PART", help="fail when the source's own selector is below, such as 0.9"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, show and write; 1 when the accuracy is below `--min-accuracy`, else 0."""
    from agentflow.select.lab import evaluate, read_cases

    graph = load_graph(arguments.graph)
    edges = _edges(graph, arguments.source)
    selectors: dict[str, Any] = {_own_name(edges): edges.selector}
    for model in arguments.model:
        selectors[model] = _asking(model, arguments.api_base, edges)
    for given in arguments.decider:
        name, separator, where = given.partition("=")
        if not separator or name in selectors:
            raise InputError(
                f"--decider {given!r} is not of the form NAME=MODULE:NAME with a name of its own: change it."
            )
        selectors[name] = load_selector(where)
    for option, path in (("--json", arguments.json), ("--html", arguments.html)):
        if path is not None and path != "-":
            check_place(option, path)  # before the first case is paid for
    compared = evaluate(
        selectors,
        edges.selector_targets,
        read_cases(arguments.cases),
        key=arguments.key,
        concurrency=arguments.concurrency,
        progress=not arguments.no_progress and sys.stderr.isatty(),
    )
    _deliver(compared, arguments)
    accuracy = compared.reports[0].accuracy
    if arguments.min_accuracy is not None and accuracy < arguments.min_accuracy:
        print(f"agentflow: accuracy {accuracy:.3f} is below {arguments.min_accuracy:g}.", file=sys.stderr)
        return 1
    return 0


def _edges(graph: Graph, source: str) -> Edges:
    choice = graph.choices.get(source)
    if choice is None:
        raise UnknownNameError(
            f"nothing leaves {source!r} in this graph: name a source. {did_you_mean(source, graph.choices)}"
        )
    if choice.edges.selector is None:
        raise InputError(f"what leaves {source!r} is decided by conditions alone: name a source with a selector.")
    return choice.edges


def _own_name(edges: Edges) -> str:
    return edges.selector.name if edges.selector is not None else ""


def _asking(model: str, api_base: str | None, edges: Edges) -> LLMDecider:
    """The source's own decider asking another model, or a plain one that reads the same."""
    from agentflow.select import LLMDecider

    own = edges.selector
    if isinstance(own, LLMDecider):
        return own.with_model(model, api_base=api_base)
    return LLMDecider(model, reads=own.reads if own is not None else None, api_base=api_base)


def _deliver(compared: Comparison, arguments: argparse.Namespace) -> None:
    if arguments.json == "-":
        print(compared.json())
    else:
        print(compared.table(), end="")
    for path, made in ((arguments.json, compared.json), (arguments.html, compared.html)):
        if path is not None and path != "-":
            write(path, made(), "the figures stand above")
            print(f"Written: {path}", file=sys.stderr)

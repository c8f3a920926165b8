"""The same prompts to three providers, side by side, and five ways to run actions at once. Needs no key, no network."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the files beside this one, however this one was started

from multi_model.offline import answer
from multi_model.worked import EXAMPLES, MODELS, PATIENCE, answers_of

from agentflow.errors import MissingExtraError
from agentflow.llm import complete
from agentflow.parallel import Comparison, compare
from agentflow.testing import ScriptedProvider


def main() -> None:
    print("The providers are scripted: no key is used, and nothing leaves this machine.\n")
    lines = (Path(__file__).parent / "prompts.txt").read_text(encoding="utf-8").splitlines()
    prompts = [line for line in lines if line and not line.startswith("#")]
    with ScriptedProvider(answer):
        complete(MODELS["gpt"], "Hello.")  # the first call loads litellm, which is nobody's latency
        show(compare(prompts, list(MODELS.values()), judge="gpt-4o", policy=PATIENCE))
        for example in EXAMPLES:
            print(f"\n{type(example).__name__}: {type(example).__doc__}")
            for said in answers_of(example, prompts):
                print(f"  {said}")


def show(comparison: Comparison) -> None:
    """As a table where rich is installed, else in Markdown."""
    try:
        table = comparison.table()
    except MissingExtraError:
        print(comparison.to_markdown())
        return
    from rich.console import Console

    Console().print(table)


if __name__ == "__main__":
    main()

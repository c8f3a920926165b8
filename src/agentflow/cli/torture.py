"""`agentflow torture`: crash, race, cancel and starve saved runs, and print what became of them.

What must not live here: the torture (`agentflow.testing.torture`).
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from agentflow.errors import InputError, did_you_mean

NAME: Final = "torture"
HELP: Final = "crash, race, cancel and starve saved runs, and count what was lost"


def add_arguments(parser: ArgumentParser) -> None:
    """Which rows, how much of them, and against which stores."""
    parser.add_argument("rows", nargs="*", help="which rows of the table; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="the share of the full sizes, such as 0.05")
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="URL",
        help="a store, such as postgresql://...; by default SQLite and those that AGENTFLOW_TEST_POSTGRES and "
        "AGENTFLOW_TEST_REDIS name",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random instants (default: 0)")


def run(arguments: Namespace) -> int:
    """Run the rows and print each as it is done; 1 when something was wrong.

    Raises:
        InputError: There is no such row, or the share makes no sense.
    """
    from agentflow.testing.torture import table

    known = [row.name for row in table.ROWS]
    for name in arguments.rows:
        if name not in known:
            raise InputError(f"there is no row {name!r}. {did_you_mean(name, known)}")
    if not 0 < arguments.share <= 1:
        raise InputError(f"--share {arguments.share} makes no sense: give more than 0 and at most 1.")
    stores = {_kind(url): url.removeprefix("sqlite:") for url in arguments.store} or table.reachable()
    wrong = 0
    print(f"against {', '.join(stores)}; {arguments.share:.0%} of the full sizes")
    for row, kind, size, found in table.run(stores, arguments.rows, arguments.share, arguments.seed):
        verdict = "FAIL" if found.wrong else "ok"
        print(f"{verdict:4}  {row.name:15} {kind:10} {size:5} {row.unit:20} {found.seconds:6.1f} s")
        facts = "; ".join(f"{what}: {value}" for what, value in found.facts.items())
        print(f"      {row.claim}. {facts}")
        for problem in found.wrong:
            print(f"      WRONG: {problem}")
        wrong += bool(found.wrong)
    return int(wrong > 0)


def _kind(url: str) -> str:
    scheme = url.partition(":")[0]
    return {"postgres": "postgresql", "rediss": "redis"}.get(scheme, scheme)

"""The part of the persister suite about what is there: lists, large values, families, deleting, ids that mean harm.

What must not live here: who may write (`persister_conformance.py`).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial

from agentflow.errors import ConflictError
from agentflow.persistence.records import Birth, Claim, Key, Pointer
from agentflow.testing.persister_checks import (
    APP,
    DONE,
    FIRST,
    READY,
    SECOND,
    SuiteOfPersister,
    about,
    at_once,
    born,
    head_of,
    keys,
    numbers,
    raised,
    row,
    same,
)

#: Ids that are easily taken for a pattern, a path, a separator, a statement, a number, or for one another.
HOSTILE_IDS = (
    *(
        "a",
        "A",
        "a ",
        " a",
        "á",
        "a\u0301",
        "\uff41",
        "%",
        "_",
        "*",
        "a%",
        "?",
        "[a]",
        "\\",
        "'",
        '"',
        "`",
        "''",
        "a\\'",
    ),
    *(
        "--",
        ";",
        ";--",
        "/*",
        "0",
        "00",
        "1e3",
        "null",
        "None",
        "true",
        "{}",
        "{agentflow}",
        "}",
        "$1",
        "%s",
        "%(app)s",
    ),
    *(":app", "..", ".", "../a", "/etc/passwd", "a/b", "a:b", "a\x01b", "a\n", "\x7f", "\u202eb", "😀", "a|b", "-1"),
    *("a" * 1_000, "é" * 500, "' OR '1'='1", "x' UNION SELECT * FROM agentflow_app --", "\r\nDEL a\r\n"),
)
_PIECES = (
    "'",
    '"',
    "\\",
    "%",
    "_",
    ";",
    "--",
    "\x01",
    "\n",
    ":",
    "{",
    "}",
    "a",
    "0",
    "/",
    "..",
    "é",
    "😀",
    " ",
    "$",
    "*",
)


class CatalogueSuite(SuiteOfPersister):
    """The tests; see `persister_suite`."""

    def test_applications_are_listed_by_partition_and_id(self) -> None:
        """All of them, those of one partition, or page by page."""
        made = [Key(partition, app) for partition in ("", "a", "a\x01", "ab", "b", "é") for app in ("", "Z", "a", "é")]
        made = [key for key in made if key.app_id]
        with self.opened() as persister:
            same("an empty store", [], persister.heads())
            for key in reversed(made):
                born(persister, key)
            same("all of them", made, keys(persister.heads()))
            for partition in ("", "a", "a\x01", "b", "c"):
                expected = [key for key in made if key.partition == partition]
                same(f"those of partition {partition!r}", expected, keys(persister.heads(partition)))
            same("the first two", made[:2], keys(persister.heads(None, None, 2)))
            for at, key in enumerate(made):
                same(f"two after {key}", made[at + 1 : at + 3], keys(persister.heads(None, key, 2)))
            same("after one, in a partition", [Key("a", "a"), Key("a", "é")], keys(persister.heads("a", Key("a", "Z"))))
            same("page by page", made, keys(persister.all_heads(page=4)))

    def test_a_large_value_is_kept_while_a_row_points_to_it(self) -> None:
        """Once, whoever wrote it first."""
        first, second = Key("", "first"), Key("", "second")
        with self.opened() as persister:
            for key in (first, second):
                born(persister, key)
                rows = [row(0, "ask", None, "{}", "shared", "other"), row(1)]
                persister.commit(key, 1, rows, READY, {"shared": "body", "other": "x" * 100_000})
            same("a large value", ("body", None), (persister.blob("shared"), persister.blob("nothing")))
            persister.remove(first)
            same(
                "after one of two was deleted",
                ("body", 100_000),
                (persister.blob("shared"), len(persister.blob("other") or "")),
            )
            persister.remove(second, 1)
            same("after the row was deleted", (None, None), (persister.blob("shared"), persister.blob("other")))

    def test_a_large_value_is_not_swept_away_while_it_is_written(self) -> None:
        """Somebody deletes what held it just as somebody else commits it anew."""
        with self.opened() as persister:
            keepers, losers = ([Key(name, str(each)) for each in range(12)] for name in ("keep", "lose"))
            for key in [*keepers, *losers]:
                born(persister, key)
            held = row(0, "ask", None, "{}", "shared")
            for pair in zip(keepers, losers, strict=True):
                persister.commit(pair[1], 1, [held], READY, {"shared": "body"})
                write = partial(persister.commit, pair[0], 1, [held], READY, {"shared": "body"})
                sweep = partial(persister.remove, pair[1])
                same("what both came to", [None, True], at_once(list[Callable[[], bool | None]]([write, sweep])))
                same("the large value that one wrote as another deleted it", "body", persister.blob("shared"))
                persister.remove(pair[0])

    def test_children_and_forks_are_found(self) -> None:
        """Until they are deleted."""
        child, fork, both = Key("tenant", "child"), Key("other", "fork"), Key("tenant", "both")
        with self.opened() as persister:
            for key in (APP, Key("", "app"), Key("tenant", "ap")):
                born(persister, key)
            persister.commit(APP, 1, [row(number) for number in range(3)], READY, {})
            born(persister, child, spawn=Pointer(APP, 0))
            born(persister, fork, fork=Pointer(APP, 2))
            born(persister, both, fork=Pointer(APP, 1), spawn=Pointer(APP, 1))
            spawned, forked = persister.offspring(APP)
            same("children", {child, both}, set(keys(spawned)))
            same("forks", {fork, both}, set(keys(forked)))
            same("where the fork began", [Pointer(APP, 2)], [each.fork for each in forked if each.key == fork])
            same("those of another", ([], []), persister.offspring(Key("", "app")))
            persister.remove(both)
            same("what is left", ([child], [fork]), tuple(map(keys, persister.offspring(APP))))

    def test_what_a_fork_begins_at_is_not_removed(self) -> None:
        """Until the fork has a snapshot of its own; and nothing is forked from a step that is gone."""
        fork, source = Key("other", "fork"), Pointer(APP, 1)
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(0), row(1), row(2, "ask", "S")], READY, {})
            birth = Birth(row(1, None), READY, source, None)
            persister.claim(fork, Claim(FIRST, 60.0, 1, birth))
            same("removing what a fork begins at", [False, False], [persister.remove(APP, 2), persister.remove(APP)])
            same("what is left", [-1, 0, 1, 2], [each.sequence_id for each in persister.rows(APP)])
            same("removing what is before it", True, persister.remove(APP, 1))
            persister.replace(fork, row(1, None, "S"), {})
            same("removing what no fork needs", True, persister.remove(APP, 2))
            late = Claim(FIRST, 60.0, 1, Birth(row(1, None), READY, source, None))
            raised(ConflictError, partial(persister.claim, Key("", "late"), late), "a fork of what is gone")
            same("removing everything", True, persister.remove(APP))
            raised(ConflictError, partial(persister.claim, Key("", "late"), late), "a fork of nothing")

    def test_a_row_is_replaced_by_one_with_a_snapshot(self) -> None:
        """It keeps its place, its epoch and its time."""
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(0), row(1)], READY, {})
            before = persister.rows(APP)[1]
            new = row(0, "ask", "the whole state", "{}", "d")._replace(epoch=1)
            persister.replace(APP, new, {"d": "body"})
            persister.replace(APP, row(7, "ask", "S", "{}", "e"), {"e": "body"})  # there is no such row
            found = persister.rows(APP)
            same("the rows", [-1, 0, 1], numbers(found))
            kept = found[1].snapshot, found[1].epoch, found[1].created_at, persister.blob("d"), persister.blob("e")
            same("the new row", ("the whole state", before.epoch, before.created_at, "body", None), kept)
            same("a trail from it", [0, 1], numbers(persister.trail(APP, 1)))

    def test_old_rows_are_removed_and_the_head_stays(self) -> None:
        """Whoever runs the application goes on."""
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(n, snapshot="S" if n == 3 else None) for n in range(5)], READY, {})
            before = head_of(persister)
            persister.remove(APP, 3)
            same("the rows", [3, 4], numbers(persister.rows(APP)))
            same("the trail", [3, 4], numbers(persister.trail(APP, 4)))
            same("an old trail", [], persister.trail(APP, 2))
            persister.remove(APP, 3)
            persister.remove(APP, 1)
            persister.commit(APP, 1, [row(5)], READY, {})
            same("the rows after one more", [3, 4, 5], numbers(persister.rows(APP)))
            same("two rows after 1", [3, 4], numbers(persister.rows(APP, 1, 2)))
            same("its birth", before.created_at, head_of(persister).created_at)

    def test_an_application_that_was_removed_is_gone(self) -> None:
        """Another may be made under its id, and has nothing of it."""
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(0)], DONE, {})
            persister.remove(APP)
            persister.remove(APP)
            same(
                "its head, rows and place",
                (None, [], []),
                (persister.head(APP), persister.rows(APP), persister.heads()),
            )
            anew = persister.claim(APP, Claim(SECOND, 60.0, 7, Birth(row(7, None, "S"), READY)))
            same("another", (APP, 7, 1, READY, SECOND, 1), about(anew))
            same("its rows", [7], numbers(persister.rows(APP)))

    def test_ids_lead_nowhere_else(self) -> None:
        """Every one of them is an application of its own; 200 in a run of the tests, AGENTFLOW_FUZZ says how many."""
        wanted = _hostile_keys(int(os.environ.get("AGENTFLOW_FUZZ") or 200))
        with self.opened() as persister:
            born(persister)
            for at, key in enumerate(wanted):
                born(persister, key, text=f"body {at}")
            for at, key in enumerate(wanted):
                persister.commit(key, 1, [row(0, "ask", None, f"step {at}")], READY, {})
                found = head_of(persister, key)
                same(f"the head of {key!r:.200}", (key, 0), (found.key, found.sequence_id))
                same(f"the rows of {key!r:.200}", [f"body {at}", f"step {at}"], [r.delta for r in persister.rows(key)])
            same("all of them", sorted([APP, *wanted]), keys(persister.all_heads()))
            for partition in sorted({key.partition for key in wanted})[:20]:
                expected = sorted(key for key in wanted if key.partition == partition)
                same(f"those of {partition!r:.200}", expected, keys(persister.heads(partition)))
            for key in wanted[:50]:
                persister.remove(key)
            same("those that were not deleted", sorted([APP, *wanted[50:]]), keys(persister.all_heads()))
            for at, key in enumerate(wanted[50:]):
                fork = Key("forks of them all", str(at))
                same(f"where it began, {key!r:.200}", Pointer(key, 0), born(persister, fork, fork=Pointer(key, 0)).fork)
                same(f"the forks of {key!r:.200}", [fork], keys(persister.offspring(key)[1]))


def _hostile_keys(count: int) -> list[Key]:
    """So many keys: each hostile id as an id and as a partition, then what chance makes of pieces of them."""
    made = {Key("p", each): None for each in HOSTILE_IDS} | {Key(each, "a"): None for each in HOSTILE_IDS}
    chance = random.Random(20)
    while len(made) < count:
        partition, app_id = ("".join(chance.choices(_PIECES, k=chance.randint(1, 6))) for _ in range(2))
        made[Key(partition, app_id)] = None
    return list(made)[: max(count, 1)]

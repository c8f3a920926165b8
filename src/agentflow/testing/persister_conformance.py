"""The suite that any persister has to pass: what a journal relies on, whatever the store is.

It is a plain class and assertions, so it needs no pytest; pytest collects it as it is. What must not live here: what
only one store promises, or whole runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agentflow.errors import ConflictError, HeldError
from agentflow.persistence.persister import Persister
from agentflow.persistence.records import Birth, Claim, Head, Key, Mark, Pointer
from agentflow.testing.persister_catalogue import CatalogueSuite
from agentflow.testing.persister_checks import (
    APP,
    DONE,
    FIRST,
    READY,
    SECOND,
    about,
    at_once,
    born,
    granted,
    head_of,
    keys,
    numbers,
    raised,
    row,
    same,
    timeless,
)

#: Texts that a store may not take for something of its own.
TEXTS = (
    "plain",
    "'; DROP TABLE agentflow_app; --",
    '"quoted" `text` \\ %s %(x)s :x ? $1 {p} {{p}}',
    "line\nbreak\r\n\ttab|pipe",
    "\u202e\u200b é 日本語 😀 \x01\x1f\x7f",
    "x" * 100_000,
)


def persister_suite(make: Callable[[], Persister]) -> type[PersisterSuite]:
    """A class of tests for a persister; give it a name that begins with Test, and pytest runs it.

    Args:
        make: Makes a persister over an empty store, anew for every test.

    Example:
        >>> TestMine = persister_suite(lambda: MyPersister(an_empty_database()))
    """
    return type("PersisterSuite", (PersisterSuite,), {"make": staticmethod(make)})


class PersisterSuite(CatalogueSuite):
    """The tests; see `persister_suite`. Each raises `AssertionError` with what was wrong."""

    # -- what is kept

    def test_it_may_be_initialized_again(self) -> None:
        """Every process does, over the same store."""
        with self.opened() as persister:
            persister.initialize()
            born(persister)
            persister.initialize()
            same("is_initialized() after initialize()", True, persister.is_initialized())
            same("the applications after a second initialize()", [APP], keys(persister.heads()))

    def test_an_application_is_as_it_was_born(self) -> None:
        """Its head and its first row, with where it came from."""
        fork, spawn = Pointer(Key("p", "f"), -1), Pointer(Key("", "s"), -1)
        with self.opened() as persister:
            born(persister, fork.key)
            birth = Birth(row(4, None, "S"), READY, fork, spawn, '["ask"]')
            given = persister.claim(APP, Claim(FIRST, 60.0, 4, birth))
            found = head_of(persister)
            for head in (given, found):
                same("a new head", (APP, 4, 1, READY, FIRST, 1), about(head))
                same("where it came from", (fork, spawn, '["ask"]'), (head.fork, head.spawn, head.graph))
                assert 0 < head.lease <= 60.0, f"a lease of 60 seconds has {head.lease} left"
                assert head.created_at > 1_500_000_000, f"created_at is {head.created_at}: seconds since 1970, please"
            same("its rows", [birth.row._replace(epoch=1)], timeless(persister.rows(APP)))
            same("another application", None, persister.head(Key("", "app")))

    def test_rows_come_back_as_they_were_committed(self) -> None:
        """Every text, and in the order of the sequence ids."""
        with self.opened() as persister:
            born(persister)
            given = [row(number, text, text if number % 2 else None, text) for number, text in enumerate(TEXTS)]
            persister.commit(APP, 1, given[:1], READY, {})
            persister.commit(APP, 1, given[1:], DONE, {}, durable=False)
            found = persister.rows(APP)
            same("the committed rows", [each._replace(epoch=1) for each in given], timeless(found[1:]))
            same("the head", (APP, len(TEXTS) - 1, 1, DONE, FIRST, 1), about(head_of(persister)))
            same("rows after 0, two of them", [1, 2], numbers(persister.rows(APP, 0, 2)))
            same("rows after the last", [], persister.rows(APP, len(TEXTS) - 1))
            assert all(each.created_at > 1_500_000_000 for each in found), "created_at is to be in seconds since 1970"

    def test_a_commit_may_give_the_lease_back(self) -> None:
        """With the last step of a run: then anybody may claim, and the attempt is the first."""
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(0)], DONE, {}, release=True)
            found = head_of(persister)
            same("the head", (APP, 0, 1, DONE, "", 1), about(found))
            assert found.lease <= 0, f"a lease that was given back has {found.lease} seconds left"
            head = persister.claim(APP, Claim(SECOND, 60.0, 0))
            same("the next owner, epoch and attempt", (SECOND, 2, 1), (head.owner, head.epoch, head.attempt))
            persister.commit(APP, 2, [row(1)], READY, {}, durable=False, release=True)
            same("the head after another", (APP, 1, 2, READY, "", 1), about(head_of(persister)))

    def test_a_trail_begins_at_the_last_snapshot(self) -> None:
        """So that loading takes no longer the longer a run is."""
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(n, snapshot="S" if n in (3, 6) else None) for n in range(8)], READY, {})
            for upto, expected in {-1: [-1], 2: [-1, 0, 1, 2], 3: [3], 5: [3, 4, 5], 6: [6], 7: [6, 7]}.items():
                same(f"the trail to {upto}", expected, numbers(persister.trail(APP, upto)))
            same("the trail of nothing", [], persister.trail(Key("", "app"), 3))

    def test_a_position_is_noted_without_a_step(self) -> None:
        """A choice, an intent, a failed attempt: the head stays where it is."""
        marks = [Mark(text, text) for text in TEXTS]
        with self.opened() as persister:
            born(persister)
            for mark in marks:
                persister.note(APP, 1, -1, mark)
                same("the noted mark", mark, head_of(persister).mark)
            same("attempts after notes", (-1, 1), (head_of(persister).sequence_id, head_of(persister).attempt))
            persister.note(APP, 1, -1, DONE, failed=True)
            same("attempts after one that failed", 2, head_of(persister).attempt)
            persister.commit(APP, 1, [row(0)], READY, {})
            same("attempts after a commit", 1, head_of(persister).attempt)

    def test_what_was_committed_outlasts_closing(self) -> None:
        """`close` lets go of connections, and the next verb opens them again."""
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(0)], DONE, {})
            persister.close()
            persister.close()
            same("the rows after close()", [-1, 0], numbers(persister.rows(APP)))
            persister.close()
            persister.release(APP, 1)
            same("its owner after a release", "", head_of(persister).owner)

    # -- who may write

    def test_a_lease_keeps_others_out_until_it_is_released(self) -> None:
        """They are told who holds it, and for how long."""
        with self.opened() as persister:
            born(persister)
            refused = raised(HeldError, lambda: persister.claim(APP, Claim(SECOND, 60.0)), "a claim on what is held")
            same("who holds it", (FIRST, "app"), (refused.owner, refused.app_id))
            persister.release(APP, 1, DONE)
            same("a released head", (APP, -1, 1, DONE, "", 1), about(head_of(persister)))
            taken = persister.claim(APP, Claim(SECOND, 60.0, -1))
            same("a head that was taken", (APP, -1, 2, DONE, SECOND, 1), about(taken))
            same("the same as head() gives it", about(taken), about(head_of(persister)))

    def test_a_lease_runs_out_unless_it_is_renewed(self) -> None:
        """By the store's own clock."""
        with self.opened() as persister:
            born(persister, seconds=0.05)
            same("renewing", True, persister.renew(APP, 1, 60.0))
            raised(HeldError, lambda: persister.claim(APP, Claim(SECOND, 60.0)), "a claim on what was renewed")
            same("renewing for an instant", True, persister.renew(APP, 1, 0.05))
            taken = granted(persister, Claim(SECOND, 60.0))
            same("who took it, at which attempt", (SECOND, 2, 2), (taken.owner, taken.epoch, taken.attempt))
            same("renewing what was lost", False, persister.renew(APP, 1, 60.0))
            persister.release(APP, 2)
            same("renewing what was released", False, persister.renew(APP, 2, 60.0))

    def test_force_takes_it_from_whoever_holds_it(self) -> None:
        """And its attempt counts, since nobody gave it back."""
        with self.opened() as persister:
            born(persister)
            taken = persister.claim(APP, Claim(SECOND, 60.0, force=True))
            same("a head taken by force", (APP, -1, 2, READY, SECOND, 2), about(taken))
            same("the owner may claim again", 3, persister.claim(APP, Claim(SECOND, 60.0)).epoch)

    def test_who_was_overtaken_changes_nothing(self) -> None:
        """However late they come: an epoch that has grown fences them off."""
        with self.opened() as persister:
            born(persister)
            persister.claim(APP, Claim(SECOND, 60.0, force=True))
            before = head_of(persister), persister.rows(APP)
            late = row(0, "ask", None, "{}", "d")
            refused = raised(
                ConflictError, lambda: persister.commit(APP, 1, [late], DONE, {"d": "late"}), "a commit that came late"
            )
            same("what the error says", ("app", -1), (refused.app_id, refused.sequence_id))
            raised(ConflictError, lambda: persister.note(APP, 1, -1, DONE, failed=True), "a note that came late")
            persister.release(APP, 1, DONE)
            after = head_of(persister), persister.rows(APP)
            same("the application", (about(before[0]), before[1]), (about(after[0]), after[1]))
            same("the large value", None, persister.blob("d"))

    def test_a_commit_goes_after_the_head_or_nowhere(self) -> None:
        """A step is not lost, not written twice, and there is no gap."""
        with self.opened() as persister:
            born(persister)
            persister.commit(APP, 1, [row(0), row(1)], READY, {})
            for wrong in (-1, 0, 1, 3, 99):
                rows = [row(wrong), row(wrong + 1)]
                raised(ConflictError, partial(persister.commit, APP, 1, rows, DONE, {}), f"step {wrong} after step 1")
            for wrong in (-1, 0, 2):
                raised(ConflictError, partial(persister.note, APP, 1, wrong, DONE), f"a note at {wrong}, and not at 1")
            same("the rows", [-1, 0, 1], numbers(persister.rows(APP)))
            same("the head", (APP, 1, 1, READY, FIRST, 1), about(head_of(persister)))
            gone = Key("tenant", "gone")
            raised(ConflictError, lambda: persister.commit(gone, 1, [row(0)], DONE, {}), "a step of nothing")
            raised(ConflictError, lambda: persister.note(gone, 1, -1, DONE), "a note on nothing")
            same("renewing what is not there", False, persister.renew(gone, 1, 60.0))
            persister.release(gone, 1, DONE)
            same("what is there", [APP], keys(persister.heads()))

    def test_a_claim_that_expects_otherwise_is_refused(self) -> None:
        """Before an action runs, and not when it is to be committed."""
        with self.opened() as persister:
            raised(ConflictError, lambda: persister.claim(APP, Claim(FIRST, 60.0)), "a claim on nothing")
            born(persister)
            persister.commit(APP, 1, [row(0)], READY, {})
            persister.release(APP, 1)
            stale = raised(ConflictError, lambda: persister.claim(APP, Claim(SECOND, 60.0, -1)), "a stale claim")
            same("what the error says", ("app", 0), (stale.app_id, stale.sequence_id))
            anew = Claim(SECOND, 60.0, -1, Birth(row(-1), READY))
            raised(ConflictError, lambda: persister.claim(APP, anew), "making what exists")
            same("the head", (APP, 0, 1, READY, "", 1), about(head_of(persister)))
            same("any head", 2, persister.claim(APP, Claim(SECOND, 60.0, None, Birth(row(-1), DONE))).epoch)

    # -- many at once

    def test_of_many_makers_one_makes_it(self) -> None:
        """The others are told that it exists."""
        with self.opened() as persister:
            claims = [Claim(f"host{each}.example.com/1/1/1", 60.0, -1, Birth(row(-1), READY)) for each in range(8)]
            made = at_once([partial(persister.claim, APP, each) for each in claims])
            won = [each for each in made if isinstance(each, Head)]
            same("those who made it", 1, len(won))
            wrong = [each for each in made if not isinstance(each, Head | ConflictError)]
            same("other errors than conflicts", [], wrong)
            same("its rows and owner", ([-1], won[0].owner), (numbers(persister.rows(APP)), head_of(persister).owner))

    def test_of_many_writers_one_writes_each_step(self) -> None:
        """With the same epoch, so that nothing but the store tells them apart."""

        def write(who: int) -> list[int]:
            won = []
            for number in range(25):
                try:
                    persister.commit(APP, 1, [row(number, f"by {who}")], READY, {})
                except ConflictError:
                    continue
                won.append(number)
            return won

        with self.opened() as persister:
            born(persister)
            won = at_once([partial(write, who) for who in range(4)])
            steps = sorted(step for each in won if isinstance(each, list) for step in each)
            same("what the writers say, beside conflicts", [], [each for each in won if not isinstance(each, list)])
            same("the steps that were written, and by one only", list(range(head_of(persister).sequence_id + 1)), steps)
            same("the rows", [-1, *steps], numbers(persister.rows(APP)))

    def test_of_many_claims_every_one_has_its_epoch(self) -> None:
        """Two owners under one epoch could both commit."""
        with self.opened() as persister:
            born(persister)
            claims = [Claim(f"host{each}.example.com/1/1/1", 60.0, force=True) for each in range(8)]
            found = at_once([partial(persister.claim, APP, each) for each in claims])
            same("errors of those who take it", [], [each for each in found if not isinstance(each, Head)])
            same("the epochs", list(range(2, 10)), sorted(each.epoch for each in found if isinstance(each, Head)))

    def test_applications_do_not_hold_each_other_up(self) -> None:
        """What one of them does is nobody else's conflict."""

        def run(key: Key) -> int:
            persister.claim(key, Claim(FIRST, 60.0, -1, Birth(row(-1), READY)))
            for number in range(10):
                persister.commit(key, 1, [row(number)], READY, {})
            persister.release(key, 1, DONE)
            return head_of(persister, key).sequence_id

        with self.opened() as persister:
            apps = [Key("", f"app{each}") for each in range(8)]
            same("their heads", [9] * 8, at_once([partial(run, key) for key in apps]))

from __future__ import annotations

import multiprocessing
import threading

from agentflow.ids import new_id


def test_an_id_is_32_hexadecimal_digits_and_no_other_is_like_it() -> None:
    made = [new_id() for _ in range(1_000)]
    assert {32} == {len(each) for each in made}
    assert "0" * 32 not in made
    assert set("0123456789abcdef") == set("".join(made))
    assert len(made) == len(set(made))


def test_threads_that_make_ids_at_once_make_different_ones() -> None:
    made: list[list[str]] = [[] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda mine: mine.extend(new_id() for _ in range(500)), args=(mine,)) for mine in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [each for mine in made for each in mine]
    assert 4_000 == len(every) == len(set(every))


def test_a_forked_process_makes_other_ids_than_its_parent() -> None:
    new_id()  # there is a stock that both could take from
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    child = fork.Process(target=lambda: theirs.send([new_id() for _ in range(200)]))
    child.start()
    made = [new_id() for _ in range(200)]
    told = ours.recv()
    child.join()
    assert set() == set(made) & set(told)

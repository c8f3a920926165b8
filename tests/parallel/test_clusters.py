"""Children on a Dask cluster: a client's executor is an executor like any other."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from agentflow.errors import RunError
from tests.parallel import remote_actions
from tests.parallel.test_executors import squares_of

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def executor() -> Iterator[Any]:
    """One worker in a process of its own."""
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(**settings, silence_logs=logging.CRITICAL) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor(pure=False) as made,
    ):
        yield made


def test_children_run_on_the_cluster(executor: Any) -> None:
    _, _, state = squares_of(remote_actions.square.bind(offset=1).with_name("renamed"), executor).run()
    assert [2, 5, 10] == state["squares"]
    assert os.getpid() not in state["processes"]


def test_an_error_comes_back_and_leaves_the_cluster_alive(executor: Any) -> None:
    with pytest.raises(RunError, match="Unsendable: a and b"):
        squares_of(remote_actions.refuse, executor).run()
    assert [1, 4, 9] == squares_of(remote_actions.square, executor).run()[2]["squares"]

"""A server that goes away is a StoreError, never a wrong step; a commit whose answer was lost is found in the store.

The connections run through a proxy of our own on loopback, which a test has cut at the worst moment.
"""

from __future__ import annotations

import pickle
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agentflow import ApplicationBuilder, State, action
from agentflow.errors import BuildError, StoreError
from agentflow.persistence import Persister, PostgresPersister, persister_from
from agentflow.testing.persister_checks import APP, READY, born, head_of, row
from tests.drivers import Driver

COMMITS = {"postgresql": b"COMMIT", "redis": b"commit"}


class Proxy:
    """Hands bytes on to a server, until what it was told to wait for comes by."""

    def __init__(self, host: str, port: int) -> None:
        self.server = host, port
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.cut: tuple[bytes, str] | None = None  # what to wait for, and whether it is to arrive
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = [self.listening]
        self._begin(self._accept)

    def close(self) -> None:
        for each in self._open:
            with_no_error(each.shutdown, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in self._open:
            each.close()

    def _begin(self, call: Any, *args: Any) -> None:
        self._threads.append(threading.Thread(target=call, args=args))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.create_connection(self.server)
            self._open += [client, server]
            self._begin(self._hand_on, client, server)

    def _hand_on(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = with_no_error(ready.recv, 65536)
                ended = not data
                if not ended and self.cut is not None and self.cut[0] in data and ready is client:
                    if self.cut[1] == "answer":
                        server.sendall(data)
                        server.recv(65536)
                    self.cut, ended = None, True
                if ended:
                    with_no_error(client.shutdown, socket.SHUT_RDWR)
                    with_no_error(server.shutdown, socket.SHUT_RDWR)
                    return
                with_no_error((server if ready is client else client).sendall, data)


def with_no_error(call: Any, *args: Any) -> Any:
    """What a call on a socket gives, None when somebody has closed that."""
    try:
        return call(*args)
    except OSError:
        return None


@pytest.fixture(params=["postgresql", "redis"])
def proxied(request: pytest.FixtureRequest, stores: dict[str, str]) -> Iterator[tuple[Persister, Proxy, bytes]]:
    url = stores[request.param]
    host, _, port = url.rpartition("@")[2].removeprefix("redis://").partition("/")[0].partition(":")
    proxy = Proxy(host, int(port))
    persister = persister_from(url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}"))
    persister.delete("lost")
    persister.remove(APP)
    yield persister, proxy, COMMITS[request.param]
    persister.close()
    proxy.close()


def counting(persister: Persister, proxy: Proxy, cuts: list[tuple[bytes, str] | None]) -> ApplicationBuilder:
    """An application that counts; before each commit the proxy is told what to do."""

    @action(reads=["n"], writes=["n"])
    def count(state: State) -> State:
        proxy.cut = cuts.pop(0)
        return state.update(n=state["n"] + 1)

    return (
        ApplicationBuilder()
        .with_actions(count)
        .with_transitions(("count", "count"))
        .with_state_persister(persister)
        .initialize_from(persister, default_state={"n": 0}, default_entrypoint="count")
        .with_identifiers(app_id="lost")
    )


def test_a_commit_whose_answer_was_lost_is_found(drive: Driver, proxied: tuple[Persister, Proxy, bytes]) -> None:
    persister, proxy, commit = proxied
    app = drive.build(counting(persister, proxy, [None, (commit, "answer"), None]))
    for _ in range(3):
        drive.step(app)
    assert ({"n": 3}, 2) == (app.state.get_all(), app.sequence_id)
    assert [-1, 0, 1, 2] == [step.sequence_id for step in persister.history("lost")]


def test_a_commit_that_never_arrived_is_an_error_and_made_again(
    drive: Driver, proxied: tuple[Persister, Proxy, bytes]
) -> None:
    persister, proxy, commit = proxied
    app = drive.build(counting(persister, proxy, [None, (commit, "nothing"), None]))
    drive.step(app)
    with pytest.raises(StoreError):
        drive.step(app)
    assert ({"n": 1}, 0) == (app.state.get_all(), app.sequence_id)
    drive.step(app)
    loaded = persister.load(None, "lost")
    assert loaded is not None
    assert ({"n": 2}, 1) == (loaded["state"].get_all(), loaded["sequence_id"])
    assert ({"n": 2}, 1) == (app.state.get_all(), app.sequence_id)


def test_idle_connections_that_were_closed_are_replaced(proxied: tuple[Persister, Proxy, bytes]) -> None:
    persister, proxy, _ = proxied
    born(persister)
    for each in list(proxy._open[1:]):
        with_no_error(each.shutdown, socket.SHUT_RDWR)
    persister.commit(APP, 1, [row(0)], READY, {})
    assert 0 == head_of(persister).sequence_id


@pytest.mark.parametrize("kind", ["postgresql", "redis"])
def test_a_server_that_is_not_there_is_told_at_once(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    persister = persister_from(f"{kind}://postgres@127.0.0.1:{port}/0")
    before, began = set(threading.enumerate()), time.monotonic()
    for ask in (persister.list_app_ids, persister.initialize):
        with pytest.raises(StoreError, match="[Cc]onnection refused"):
            ask()
    persister.close()
    assert time.monotonic() - began < 10
    assert set() == set(threading.enumerate()) - before  # others may end meanwhile


def test_a_server_that_went_away_is_waited_for_as_long_as_was_said(stores: dict[str, str]) -> None:
    url = stores["postgresql"]
    host, _, port = url.rpartition("@")[2].partition("/")[0].partition(":")
    proxy = Proxy(host, int(port))
    with PostgresPersister(url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}"), wait_seconds=0.3) as persister:
        persister.list_app_ids()
        proxy.close()
        began = time.monotonic()
        with pytest.raises(StoreError, match="see that it runs and can be reached, and run again"):
            persister.list_app_ids()
        assert time.monotonic() - began < 5
        again = pickle.loads(pickle.dumps(persister))
        assert 0.3 == again.wait_seconds
    with pytest.raises(BuildError, match="wait_seconds=0 waits for nothing"):
        PostgresPersister(url, wait_seconds=0)


def test_a_statement_that_waits_may_lose_its_connection(stores: dict[str, str]) -> None:
    import psycopg

    with persister_from(stores["postgresql"]) as persister, psycopg.connect(stores["postgresql"]) as other:
        persister.remove(APP)
        born(persister)
        other.execute("SELECT 1 FROM agentflow_app WHERE app_id = %s FOR UPDATE", (APP.app_id,))
        failed: list[BaseException] = []
        thread = threading.Thread(target=lambda: failed.append(raised(persister)))
        thread.start()
        with psycopg.connect(stores["postgresql"], autocommit=True) as judge:
            ended: Any = None
            deadline = time.monotonic() + 20
            while not ended and time.monotonic() < deadline:
                ended = judge.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchone()
        thread.join(20)
        other.rollback()
        assert [StoreError] == [type(error) for error in failed]
        assert -1 == head_of(persister).sequence_id
        persister.commit(APP, 1, [row(0)], READY, {})
        assert 0 == head_of(persister).sequence_id


def raised(persister: Persister) -> BaseException:
    try:
        persister.commit(APP, 1, [row(0)], READY, {})
    except BaseException as error:
        return error
    return AssertionError("the commit did not wait")


def test_a_commit_waits_for_the_disk_whatever_the_server_is_set_to(stores: dict[str, str]) -> None:
    careless = f"{stores['postgresql']}?options=-c%20synchronous_commit%3Doff"
    with persister_from(careless) as persister:
        found = []
        for durable in (True, False, True):
            with persister._transaction(durable) as run:  # type: ignore[attr-defined]
                found.append(run("SHOW synchronous_commit", {})[0][0])
        assert (["on", "off", "on"], "durable") == (found, persister.promise)


def test_a_redis_that_forgets_says_so_once(stores: dict[str, str], recwarn: pytest.WarningsRecorder) -> None:
    import redis

    from agentflow.persistence.redis import _warned

    url = stores["redis"]
    _warned.discard(url)
    with redis.Redis.from_url(url) as client:
        client.config_set("appendfsync", "everysec")
        try:
            for _ in range(2):
                with persister_from(url) as persister:
                    assert "cache-grade" == persister.promise
        finally:
            client.config_set("appendfsync", "always")
    assert ["may be lost"] == [each for warning in recwarn for each in ["may be lost"] if each in str(warning.message)]
    with persister_from(url) as persister:
        assert "durable" == persister.promise

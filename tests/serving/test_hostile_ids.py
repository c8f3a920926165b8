"""Whatever somebody takes for an id, the answer is that there is no such thing, and nothing but the store was touched.

`AGENTFLOW_FUZZ=10000` tries that many ids, each in an address and in a body.
"""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from agentflow.persistence import SQLitePersister
from tests.effort import tries
from tests.serving.clients import api_of, ask
from tests.serving.hostile_ids import EVERY, hostile_ids, in_address

SIZE = tries(200, thorough=1_000)
#: What an id is, said once more.
ID = re.compile(rf"(?!\.{{1,2}}\Z)[{string.ascii_letters}{string.digits}._-]{{1,128}}\Z")
#: Each way to name an application: a method, the rest of the address, and a body.
NAMING = (
    ("GET", "/state", None),
    ("GET", "/history", None),
    ("GET", "/events", None),
    ("POST", "/run", None),
    ("POST", "/cancel", None),
    ("POST", "/fork", {"app_id": "forked"}),
    ("PUT", "/choice", {"target": "double"}),
    ("PUT", "/actions/count", {"note": ""}),
    ("DELETE", "", None),
)
#: What a program does outside of itself, by how Python calls it (https://docs.python.org/3/library/audit_events.html).
OUTSIDE = (
    *("open", "import", "exec", "compile", "os.", "shutil.", "glob.", "tempfile.", "subprocess.", "pickle."),
    *("sqlite3.", "socket.connect", "socket.getaddrinfo", "socket.bind", "ctypes.", "urllib.", "winreg."),
)

_watched: list[list[str]] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if _watched and event.startswith(OUTSIDE):
        _watched[-1].append(f"{event} {args[0] if args else ''!r:.200}")


sys.addaudithook(_note)


@contextmanager
def watching() -> Iterator[list[str]]:
    """What is done outside of the program meanwhile, by every thread of it."""
    done: list[str] = []
    _watched.append(done)
    try:
        yield done
    finally:
        _watched.remove(done)


def files(*folders: Path) -> list[tuple[str, int]]:
    return sorted(
        (str(path), path.stat().st_size) for folder in folders for path in folder.rglob("*") if path.is_file()
    )


async def test_hostile_ids_are_refused_and_reach_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, around = tmp_path / "a" / "store", tmp_path / "a" / "around"
    inside.mkdir(parents=True)
    around.mkdir()
    monkeypatch.chdir(around)
    (around / "x").write_text("somebody's")
    store = SQLitePersister(inside / "runs.db")
    api = api_of(persister=store)
    ids = list(hostile_ids(SIZE))
    assert SIZE == len(set(ids))
    assert (201, 201) == tuple(
        [(await ask(api, "POST", "/applications", {"app_id": each}))[0] for each in ("own", "b")]
    )
    made = {"own"}
    assert 204 == (await ask(api, "DELETE", "/applications/b"))[0]
    for method, rest, body in NAMING:  # whatever is imported when it is first needed is imported now
        await ask(api, method, f"/applications/nobody{rest}", body)
    before = (await ask(api, "GET", "/applications/own/state"))[1], files(around)
    with watching() as done:
        for number, app_id in enumerate(ids):
            await address_it(api, app_id, number)
        for number, app_id in enumerate(ids):  # only now: there would be something at some of the addresses
            made |= await give_it(api, app_id, number)
    assert [] == [each for each in done if f"{inside}/runs.db" not in each]
    assert before == ((await ask(api, "GET", "/applications/own/state"))[1], files(around))
    assert made == {head.app_id for head in store.all_heads()}
    store.close()
    assert [name for name, _ in files(tmp_path)] == [str(around / "x"), str(inside / "runs.db")]


async def address_it(api: Any, app_id: str, number: int) -> None:
    """Take an id for that of an application; nobody has made one yet."""
    method, rest, body = NAMING[number % len(NAMING)]
    for once_more in (False, True):
        place = in_address(app_id, once_more)
        status, said = await ask(api, method, f"/applications/{place}{rest}", body)
        is_path = "/" in unquote(place)  # then it is another address, which may be there for another method
        assert status in ((404, 405, 422) if is_path else (404, 422)), (app_id, status, said)
        assert {"error", "message"} <= said.keys()


async def give_it(api: Any, app_id: str, number: int) -> set[str]:
    """Wish for an application with an id, or look for what comes after it; which applications came of it."""
    if number % 5 == 0:
        status, said = await ask(api, "GET", f"/applications?after={in_address(app_id, True)}")
    else:
        place = ("/applications", "/applications/own/fork")[number % 2]
        status, said = await ask(api, "POST", place, {"app_id": app_id})
    expected = 422 if ID.match(app_id) is None else 200 if number % 5 == 0 else 201
    assert expected == status, (app_id, status, said)
    return {app_id} if status == 201 else set()


def test_the_ids_are_hostile() -> None:
    """Most of them; a few that are allowed have to be among them, or it would not be seen that these are stored."""
    allowed = sum(ID.match(each) is not None for each in EVERY)
    assert 10 < allowed < len(EVERY) / 4

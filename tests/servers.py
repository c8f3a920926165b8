"""Real PostgreSQL and Redis servers for the tests: those that the environment names, or own ones on loopback.

A server of our own is started once for a run of the tests, in a folder that is removed at its end, from the programs on
this machine; where they are missing and we may install packages, they are installed. Where no server can be had the
tests fail, and say what to install: they are never skipped. Tests empty the stores they are given, so each worker of
pytest-xdist has servers of its own, or a database of its own on those that are named.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from agentflow.persistence import Persister

POSTGRES, REDIS = "AGENTFLOW_TEST_POSTGRES", "AGENTFLOW_TEST_REDIS"

_started: list[tuple[subprocess.Popen[bytes], Path]] = []


def start() -> None:
    """See that both variables name a server, starting what is missing."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    for variable, started, apart in ((POSTGRES, _postgres, _own_database), (REDIS, _redis, _own_number)):
        if variable not in os.environ:
            os.environ[variable] = started()
        elif worker:
            os.environ[variable] = apart(os.environ[variable], worker)


def stop() -> None:
    """End what `start` started."""
    for process, folder in reversed(_started):
        process.send_signal(signal.SIGINT)  # PostgreSQL waits for its clients after a SIGTERM
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
    _started.clear()


def emptied(persister: Persister) -> None:
    """Delete every application of a store."""
    while found := list(persister.all_heads()):  # what a fork begins at goes after the fork
        for head in found:
            persister.remove(head.key)


def _postgres() -> str:
    initdb, server = _program("initdb", "postgresql"), _program("postgres", "postgresql")
    folder, port = _folder(), _free_port()
    user = _as_user("postgres", folder)
    data = folder / "data"
    _run([*user, str(initdb), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync"])
    options = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-c", "max_connections=200"]
    _begin([*user, str(server), "-D", str(data), *options], folder, port)
    dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    _wait_until_it_answers(dsn)
    return dsn


def _redis() -> str:
    server, folder, port = _program("redis-server", "redis-server"), _folder(), _free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    _begin([str(server), *options, "--appendonly", "yes", "--appendfsync", "always"], folder, port)
    return f"redis://127.0.0.1:{port}/0"


def _own_database(url: str, worker: str) -> str:
    """The URL of a PostgreSQL database for one worker, made if it is not there."""
    import psycopg
    from psycopg import sql

    parts = urlsplit(url)
    name = f"{parts.path.strip('/')}_{worker}"
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return parts._replace(path=f"/{name}").geturl()


def _own_number(url: str, worker: str) -> str:
    """The URL of a Redis database for one worker: there are sixteen, by number."""
    parts = urlsplit(url)
    number = int(parts.path.strip("/") or 0) + 1 + int(worker.removeprefix("gw"))
    return parts._replace(path=f"/{number}").geturl()


def _program(name: str, package: str) -> Path:
    found = _look_for(name)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *arguments], check=False, capture_output=True, timeout=300)  # told below
        found = _look_for(name)
    if found is None:
        raise RuntimeError(
            f"these tests need the program {name!r}: install the package {package!r}, or name a running server with "
            f"{POSTGRES if package == 'postgresql' else REDIS}."
        )
    return found


def _look_for(name: str) -> Path | None:
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return installed[-1] if installed else None


def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="agentflow-server-"))
    made.chmod(0o755)
    return made


def _as_user(user: str, folder: Path) -> list[str]:
    """What runs a program as somebody else, where we are root and PostgreSQL refuses that."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, user)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, timeout=120, cwd="/", check=False)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.decode()}")


def _begin(command: list[str], folder: Path, port: int) -> None:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")
    _started.append((process, folder))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{command[0]} did not come up: {(folder / 'log').read_text()[-2000:]}")


def _wait_until_it_answers(dsn: str) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
        except psycopg.OperationalError:  # it listens, and is still starting up
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return

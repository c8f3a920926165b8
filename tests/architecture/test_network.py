"""No test can reach another machine."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

ELSEWHERE = "192.0.2.1"  # reserved for documentation (RFC 5737): nobody is there


def test_looking_up_a_name_is_refused() -> None:
    with pytest.raises(OSError, match=r"tried to reach 'example\.com'"):
        socket.getaddrinfo("example.com", 443)


@pytest.mark.parametrize("connect", ["connect", "connect_ex"])
def test_connecting_to_an_address_is_refused(connect: str) -> None:
    with socket.socket() as client, pytest.raises(OSError, match="only loopback"):
        getattr(client, connect)((ELSEWHERE, 443))


def test_sending_a_datagram_is_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(OSError, match="only loopback"):
        client.sendto(b"hello", (ELSEWHERE, 53))


async def test_an_event_loop_is_refused_too() -> None:
    with pytest.raises(OSError, match="only loopback"):
        await asyncio.open_connection(ELSEWHERE, 443)


def test_loopback_and_unix_sockets_are_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            assert client.recv(1) == b""
        thread.join()
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        assert other.recv(1) == b"x"

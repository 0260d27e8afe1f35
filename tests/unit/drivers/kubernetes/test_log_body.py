"""Reading below urllib3, in the clear and below TLS: what is silence, what is an end, and what is neither."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cluster.certificates import server_context
from workers.drivers.kubernetes.body import Body


class TlsServer:
    """One end of a connection whose records are sent by hand, whole or in parts."""

    def __init__(self, folder: Path, wire: socket.socket, client: socket.socket) -> None:
        context, authority = server_context(folder)
        trusting = ssl.create_default_context(cadata=authority.decode())
        self.wire, self._in, self._out = wire, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self.client = trusting.wrap_socket(client, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        self.client.settimeout(0)
        wire.settimeout(0)
        done = {"client": False, "server": False}
        while not all(done.values()):
            for side, tls in (("client", self.client), ("server", self._tls)):
                try:
                    tls.do_handshake()
                    done[side] = True
                except ssl.SSLWantReadError:
                    pass
                self._pump()

    def _pump(self) -> None:
        self.wire.sendall(self._out.read())
        with suppress(BlockingIOError):
            self._in.write(self.wire.recv(65536))

    def record(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._out.read()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TlsServer]:
    wire, client = socket.socketpair()
    made = TlsServer(tmp_path, wire, client)
    yield made
    made.client.close()
    wire.close()


def body_over(client: socket.socket, status: int = 200, **headers: str) -> Body:
    client.settimeout(5)
    response: Any = SimpleNamespace(_fp=SimpleNamespace(fp=client.makefile("rb")), headers=headers, status=status)
    return Body(response)


def test_a_head_that_comes_alone_below_tls_is_no_failure(server: TlsServer) -> None:
    body = body_over(server.client, **{"Transfer-Encoding": "chunked"})
    assert body.read(0.05) == b""
    assert not body.ended
    server.wire.sendall(server.record(b"4\r\nout\n\r\n"))
    assert body.read(5) == b"out\n"


def test_part_of_a_record_is_not_silence(server: TlsServer) -> None:
    body = body_over(server.client, **{"Transfer-Encoding": "chunked"})
    record = server.record(b"4\r\nout\n\r\n")
    server.wire.sendall(record[:9])
    began = time.monotonic()
    assert body.read(0.3) == b""
    assert time.monotonic() - began >= 0.3
    server.wire.sendall(record[9:])
    assert body.read(5) == b"out\n"


def test_many_records_are_read_together(server: TlsServer) -> None:
    body = body_over(server.client, **{"Transfer-Encoding": "chunked"})
    lines = [b"%05d\n" % number for number in range(1000)]
    server.wire.sendall(b"".join(server.record(b"6\r\n%s\r\n" % line) for line in lines))
    server.wire.sendall(server.record(b"0\r\n\r\n"))
    got = b""
    while not body.ended:
        got += body.read(5)
    assert got == b"".join(lines)


def test_a_connection_that_ends_before_its_answer_is_broken_off(server: TlsServer) -> None:
    body = body_over(server.client, **{"Transfer-Encoding": "chunked"})
    server.wire.sendall(server.record(b"4\r\nout\n\r\n"))
    assert body.read(5) == b"out\n"
    server.wire.close()
    with pytest.raises(OSError):
        body.read(5)


def test_what_came_with_the_head_in_the_clear_is_read_first() -> None:
    server, client = socket.socketpair()
    with server, client:
        server.sendall(b"out\nmore\n")
        body = body_over(client, **{"Content-Length": "9"})
        assert body.read(5) == b"out\nmore\n"
        assert body.ended


def test_an_answer_without_content_is_not_waited_for() -> None:
    """The API server's, of a pod that is on no node; the connection stays open behind it."""
    wire, client = socket.socketpair()
    with wire, client:
        wire.sendall(b"the next answer")
        body = body_over(client, status=204)
        assert (body.ended, body.read(5)) == (True, b"")

"""An engine behind a connection that breaks, seen through a relay on a socket of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, socket
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from threading import Thread

import pytest

from tests.contract.docker_yard import Yard, open_yard
from tests.contract.following import read
from workers.drivers.docker.driver import DockerDriver
from workers.drivers.docker.locks import HostLocks
from workers.drivers.output import Line
from workers.drivers.protocol import Phase, PullProgress, Unavailable

pytestmark = pytest.mark.docker
ENGINE = "/var/run/docker.sock"
# From the head of a request to how many bytes of the answers come through on its connection; None: all.
Allowance = Callable[[bytes], int | None]


class Relay(ThreadingUnixStreamServer):
    """Passes on what is asked, and of the answers only what `allowance` lets through before it hangs up."""

    daemon_threads = True

    def __init__(self, path: Path, allowance: Allowance) -> None:
        self.allowance = allowance
        self.url = f"unix://{path}"
        super().__init__(str(path), Passage)


class Passage(StreamRequestHandler):
    """One connection; several requests may come over it one after another."""

    left: int | None = None

    def handle(self) -> None:
        with socket(AF_UNIX) as engine, contextlib.suppress(OSError):
            engine.connect(ENGINE)
            Thread(target=self.pass_back, args=(engine,), daemon=True).start()
            while asked := self.request.recv(65536):
                assert isinstance(self.server, Relay)
                self.left = self.server.allowance(asked)
                engine.sendall(asked)

    def pass_back(self, engine: socket) -> None:
        with contextlib.suppress(OSError):
            while answered := engine.recv(65536):
                self.request.sendall(answered if self.left is None else answered[: self.left])
                if self.left is not None:
                    self.left -= len(answered)
                    if self.left <= 0:
                        break
            self.request.shutdown(SHUT_RDWR)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with open_yard(tmp_path / "locks") as opened:
        yield opened


@contextlib.contextmanager
def through(yard: Yard, folder: Path, allowance: Allowance) -> Iterator[DockerDriver]:
    with Relay(folder / "docker.sock", allowance) as relay:
        thread = Thread(target=relay.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield DockerDriver(relay.url, timeout_seconds=5, silence_seconds=2, lock_dir=yard.lock_dir)
        finally:
            relay.shutdown()


def test_an_engine_that_hangs_up_is_unavailable_and_nothing_else(yard: Yard, tmp_path: Path) -> None:
    handle = yard.start("sleep", "30")
    with through(yard, tmp_path, lambda asked: 0 if b"/containers/" in asked[:80] else None) as driver:
        for ask in (driver.inspect, driver.usage, driver.remove, lambda one: driver.stop(one, 0)):
            with pytest.raises(Unavailable):
                ask(handle)
        with pytest.raises(Unavailable):
            list(read(driver, handle, None))
        with pytest.raises(Unavailable):
            driver.survey(yard.installation)


def test_a_start_whose_answers_are_lost_is_found_again_and_ran_once(yard: Yard, tmp_path: Path) -> None:
    spec = yard.spec("echo", "ran")
    lost = {b"/containers/create", b"/start "}

    def allowance(asked: bytes) -> int | None:
        for part in set(lost):
            if part in asked[:200]:
                lost.discard(part)
                return 0
        return None

    with through(yard, tmp_path, allowance) as driver:
        for _ in range(3):
            with contextlib.suppress(Unavailable):
                handle = driver.start(spec)
    assert not lost
    assert yard.finish(handle).output == b"ran\n"


def test_a_log_that_breaks_off_again_and_again_is_read_exactly(yard: Yard, tmp_path: Path) -> None:
    handle = yard.start("seq", "1", "20000")
    lines: list[Line] = []
    breaks = iter(range(100_000, 900_000, 100_000))
    with through(yard, tmp_path, lambda asked: next(breaks, None) if b"/logs?" in asked[:200] else None) as driver:
        done = False
        while not done:
            over = driver.inspect(handle).phase is not Phase.RUNNING
            with contextlib.suppress(Unavailable):
                lines.extend(read(driver, handle, lines[-1].cursor if lines else None))
                done = over
    assert next(breaks, None) is None
    assert b"".join(line.data for line in lines) == b"".join(b"%d\n" % number for number in range(1, 20_001))


def test_who_waits_for_anothers_pull_of_the_same_image_can_be_called_off(yard: Yard) -> None:
    class CalledOffError(Exception):
        pass

    def call_off(progress: PullProgress) -> None:
        said.append(progress.status)
        if len(said) > 3:
            raise CalledOffError

    said: list[str] = []
    image = "127.0.0.1:1/nobody/has:1"
    with HostLocks(yard.lock_dir).named(f"pull {image} None", 1), pytest.raises(CalledOffError):
        yard.driver.resolve(image, None, call_off)
    assert set(said) == {"waiting: another job is pulling it"}

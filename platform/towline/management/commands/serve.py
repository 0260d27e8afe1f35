"""`manage.py serve ROLE`: one process of the platform in the foreground. `up` runs one of each; so do images and charts."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from towline.bridge import guarded, listening
from towline.celery import app

if TYPE_CHECKING:
    from workers.keeper import Keeper

log = logging.getLogger(__name__)
ROLES = ("web", "control", "run", "beat", "flower")


class Command(BaseCommand):
    help = "Run one process of the platform: " + ", ".join(ROLES)
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", choices=ROLES)
        parser.add_argument("--host", default="127.0.0.1", help="web and flower: where to listen")
        parser.add_argument("--port", type=int, help="web: 8000, flower: 5555")
        parser.add_argument("--bridge", metavar="HOST", help="web: listen here, too, for what jobs' containers call")

    def handle(self, *args: Any, role: str, host: str, port: int | None, bridge: str | None, **options: Any) -> None:
        if role == "web":
            serve_web(host, port or 8000, bridge)
        elif role == "flower":
            serve_flower(host, port or 5555)
        elif role == "run":
            serve_run()
        elif role == "control":
            serve_control()
        else:
            _celery("beat", "--pidfile=", "-l", "WARNING")


# Gossip and mingle are talk among workers that nobody here needs; 5.7's gossip logs errors after a reconnect.
WORKER = ("-P", "threads", "-E", "-l", "WARNING", "--without-gossip", "--without-mingle")
SPARE = 4  # threads beyond the slots: for probes, and for runs that are over and still remove their container


def _celery(*argv: str) -> None:
    app.start(["--quiet", *argv])


def serve_web(host: str, port: int, bridge: str | None = None) -> None:
    import uvicorn

    from towline.asgi import application

    # When all is ended, uvicorn raises the signal that ended it once more: what was asked for and done is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = uvicorn.Server(
        uvicorn.Config(
            guarded(application, bridge) if bridge else application,
            host=host,
            port=port,
            log_level="warning",
            log_config=None,  # Django's: uvicorn's lines look like all the others
            lifespan="on",
            timeout_graceful_shutdown=5,
            # Longer than clients and proxies keep idle connections, so that it is they who close them.
            timeout_keep_alive=75,
            server_header=False,
        )
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[_listening(host, port), *_beside(bridge, port)] if bridge else None)
    if not server.started:
        sys.exit(1)


def _listening(host: str, port: int) -> socket.socket:
    try:
        return listening(host, port)
    except OSError as error:
        raise CommandError(f"web can't listen on {host}, port {port}: {error}. Choose another --port.") from error


def _beside(bridge: str, port: int) -> list[socket.socket]:
    """Without it all goes on but what containers call."""
    try:
        return [listening(bridge, port)]
    except OSError as error:
        log.warning(
            "jobs' containers can't reach this platform: web can't listen on %s, port %s: %s", bridge, port, error
        )
        return []


def serve_control() -> None:
    """A worker for what anybody may do: place, reconcile. Should it go deaf, the keepers do the same, some seconds later."""
    from celery import signals

    from workers.hearing import Hearing

    name = f"control@{socket.gethostname()}"
    ears = Hearing(name, "control")

    @signals.worker_ready.connect(weak=False)
    def begin(sender: Any, **_: Any) -> None:
        ears.listen(sender)

    @signals.worker_shutting_down.connect(weak=False)
    def end(**_: Any) -> None:
        ears.stop()

    _celery("worker", "-n", name, "-Q", "control", "-c", "4", *WORKER)


def _install_keeper() -> Keeper:
    """Of this process, under a name that nobody else has."""
    from workers import keeper, naming
    from workers.drivers.protocol import Unavailable
    from workers.engines import offered

    name = settings.TOWLINE.TOWLINE_WORKER_NAME or f"run@{socket.gethostname()}"
    try:
        ours = keeper.Keeper(name, offered(keeper.engines_before(name)))
    except Unavailable as error:
        why = str(error).rstrip(".")
        raise CommandError(f"no engine to run jobs on: {why}. Start it, or set TOWLINE_RUNTIMES.") from error
    try:
        naming.await_name(name)
    except naming.NameTakenError as error:
        raise CommandError(str(error)) from error
    keeper.install(ours)
    return ours


def serve_run() -> None:
    """A run worker: it listens on a queue of its own alone, and has a keeper."""
    from celery import signals
    from celery.utils.nodenames import worker_direct

    from workers.hearing import Hearing

    ours = _install_keeper()
    ears = Hearing(ours.worker, keeper=ours)

    @signals.celeryd_after_setup.connect(weak=False)
    def begin(**_: Any) -> None:
        """Before Celery asks for Redis, which may be away for long: containers want to be looked after all the same."""
        try:
            ours.register()
            ours.start()
        except Exception as error:
            # A signal's receiver can't fail a worker otherwise; one without a keeper would lose every lease.
            raise SystemExit(f"the run worker can't begin: {error}") from error

    @signals.worker_ready.connect(weak=False)
    def listen(sender: Any, **_: Any) -> None:
        ears.listen(sender)

    @signals.worker_shutting_down.connect(weak=False)
    def detach(**_: Any) -> None:
        ears.stop()
        ours.detach()

    threads = str(settings.TOWLINE.TOWLINE_SLOTS + SPARE)
    _celery("worker", "-n", ours.worker, "-Q", worker_direct(ours.worker).name, "-c", threads, *WORKER)


def serve_flower(host: str, port: int) -> None:
    """Behind a login: FLOWER_BASIC_AUTH (user:password) in the environment, never on the command line."""
    if not os.environ.get("FLOWER_BASIC_AUTH"):
        raise CommandError("set FLOWER_BASIC_AUTH=user:password: Flower can stop workers, so it is never open")
    sys.argv = ["celery"]
    _celery("flower", f"--address={host}", f"--port={port}", "--purge_offline_workers=60")

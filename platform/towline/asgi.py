"""The web process. Open streams end the moment it is told to stop, so that clients go on elsewhere at once."""

from __future__ import annotations

import os
import signal
from types import FrameType

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "towline.settings")
django.setup(set_prefix=False)

from jobs.logs.feed import close_feeds  # noqa: E402 - needs the apps

from .serving import Handler, Message, Receive, Send  # noqa: E402

django_application = Handler()


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await django_application(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    _end_streams_on(signal.SIGTERM)
    _end_streams_on(signal.SIGINT)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _end_streams_on(number: signal.Signals) -> None:
    """uvicorn waits for open streams when it is told to stop, for its whole grace: end them first."""
    servers_own = signal.getsignal(number)

    def stop(signum: int, frame: FrameType | None) -> None:
        close_feeds()
        if callable(servers_own):
            servers_own(signum, frame)

    signal.signal(number, stop)

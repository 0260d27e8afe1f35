"""The image of the Docker examples, made on the spot where it is missing."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.management.base import CommandError

from workers.drivers.protocol import Unavailable

from .running import DEMO_IMAGE

BUILD_SECONDS = 60.0


def have_demo_image() -> None:
    """CommandError says what keeps it from being made."""
    from workers.drivers.docker.busybox import NoBusyboxError, ensure_demo_image
    from workers.drivers.docker.connection import Connection, asking

    try:
        with asking("make the image of the examples"):
            url = settings.TOWLINE.TOWLINE_DOCKER_URL or os.environ.get("DOCKER_HOST")
            ensure_demo_image(Connection(url, BUILD_SECONDS).client, DEMO_IMAGE)
    except NoBusyboxError as error:
        raise CommandError(f"the image {DEMO_IMAGE} of the examples can't be made: {error}") from error
    except Unavailable as error:
        raise CommandError(f"{error}: see `manage.py doctor`") from error

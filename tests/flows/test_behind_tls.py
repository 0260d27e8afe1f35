"""With TLS ended by a proxy: users are sent to it, and what asks the web process directly is answered."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client


@pytest.fixture(autouse=True)
def _https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True


@pytest.mark.parametrize("path", ["/healthz/live", "/metrics"])
def test_probes_and_prometheus_are_answered_without_tls(path: str) -> None:
    assert Client().get(path).status_code == 200


@pytest.mark.parametrize("path", ["/admin/", "/api/v1/jobs/", "/metrics/../admin/"])
def test_everybody_else_is_sent_to_tls(path: str) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer["Location"].split(":")[0]) == (301, "https")

"""`submit --dry-run`: what would be asked of a runtime, checked like a submit, and nothing stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from pydantic import SecretStr

from jobs.models import Job, Project
from jobs.secrets.keeping import make

from .conftest import make_worker


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("submit", "busybox:1.36", "--dry-run", *words)
    assert not Job.objects.exists()
    return capsys.readouterr().out


def documents(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(shown(capsys, "-o", "yaml", *words)))


def test_a_pod_is_shown_as_it_would_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    (pod,) = documents(capsys, "--runtime", "kubernetes", "--gpus", "2", "--require", "disk=ssd", "--user", "7")
    container = pod["spec"]["containers"][0]
    assert (pod["kind"], container["image"], pod["spec"]["nodeSelector"]) == ("Pod", "busybox:1.36", {"disk": "ssd"})
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert pod["spec"]["securityContext"]["runAsUser"] == 7


def test_no_value_of_a_secret_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    make(Project.objects.get(name="default"), "TOKEN", SecretStr("hush-1234567890"), None)
    for runtime in ("kubernetes", "docker"):
        told = shown(capsys, "-o", "yaml", "--runtime", runtime, "--secret", "TOKEN")
        assert ("hush" in told, "TOKEN" in told) == (False, True)


def test_json_is_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    (body,) = json.loads(shown(capsys, "-o", "json", "--runtime", "docker", "--memory", "1Gi"))
    assert body["HostConfig"]["Memory"] == 1024**3


def test_without_a_form_it_says_what_would_become_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no_worker" in shown(capsys)
    make_worker()
    assert "would be taken" in shown(capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "yaml", "--runtime", "process"], "choose docker or kubernetes"),
        (["-o", "yaml", "--follow"], "nothing to follow"),
        (["--project", "nobodys"], "no project"),
        (["-o", "yaml", "--runtime", "kubernetes", "--user", "bob"], "by number"),
        (["-o", "yaml", "--runtime", "kubernetes", "--volume", "/srv:/srv"], "no folders of a host"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("submit", "busybox:1.36", "--dry-run", *words)
    assert not Job.objects.exists()


def test_a_form_needs_the_dry_run() -> None:
    with pytest.raises(CommandError, match="--dry-run"):
        call_command("submit", "busybox:1.36", "-o", "yaml")
    assert not Job.objects.exists()

"""Exports and figures from the running platform: streamed by the web process, and the same as what is stored."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from jobs.logs.squeezing import expand
from tests.stack import RunningStack


def test_what_is_downloaded_is_what_was_said(stack: RunningStack, tmp_path: Path) -> None:
    job = stack.run("sh", "-c", "seq 1 50000; printf '\\377 no end' >&2", name="to-export")
    answer = stack.http.get(f"/jobs/{job['id']}/export/")
    with tarfile.open(fileobj=io.BytesIO(expand(answer.content)), mode="r|") as tar:
        found = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
    log = found[f"{job['id']}/attempt-1.log"]
    assert log == stack.output(job)
    assert hashlib.sha256(log).hexdigest() == job["log"]["sha256"]
    lines = stack.http.get("/logs/export/", params={"name": "to-export", "format": "ndjson"}).text.splitlines()
    assert len(lines) == job["log"]["lines"]
    assert json.loads(lines[0])["text"] == "1"
    file = tmp_path / "one.tar.zst"
    assert stack.manage("export", job["id"], "--output", str(file)).returncode == 0
    assert expand(file.read_bytes())[:100] == expand(answer.content)[:100]
    noisy = {row["id"] for row in stack.http.get("/stats/", params={"window": "1h"}).json()["logs"]["noisiest"]}
    assert job["id"] in noisy

"""What operators do: drain and resume workers, and sweep strays."""

from __future__ import annotations

import json

from tests.stack import RunningStack, eventually


def test_a_drained_worker_ends_its_jobs_and_takes_no_new_ones(stack: RunningStack) -> None:
    (worker,) = stack.http.get("/workers/").json()["results"]
    running = stack.submit("sh", "-c", "echo up; sleep 1; echo done")
    eventually(lambda: stack.output(running))
    assert stack.http.post(f"/workers/{worker['name']}/drain/").json()["state"] == "draining"
    held_back = stack.submit("true")
    waiting = stack.until(held_back, lambda shown: "draining" in (shown["waiting"] or {}).get("detail", ""))["waiting"]
    assert waiting["reason"] == "capacity"
    assert stack.wait(running)["state"] == "succeeded"
    assert stack.job(held_back["id"])["state"] == "queued"
    assert stack.manage("resume", worker["name"]).returncode == 0
    assert stack.wait(held_back)["state"] == "succeeded"


def test_a_worker_that_is_not_there_is_named_with_those_that_are(stack: RunningStack) -> None:
    told = stack.manage("drain", "run@nowhere")
    assert told.returncode != 0
    assert stack.env["TOWLINE_WORKER_NAME"] in told.stderr
    assert stack.http.post("/workers/run@nowhere/drain/").status_code == 404


def test_only_strays_that_are_not_young_are_swept(stack: RunningStack) -> None:
    """A folder of the process runtime with our labels and no attempt, once just made, once made long ago."""
    live = stack.submit("sh", "-c", "echo up; sleep 30")
    eventually(lambda: stack.output(live))
    make = (
        "from workers.engines import driver\n"
        "from workers.container import *\n"
        "from workers.drivers.protocol import ContainerSpec\n"
        "from jobs.models import installation_key\n"
        "import uuid\n"
        "job, key = uuid.uuid4(), installation_key()\n"
        "spec = ContainerSpec(container_name(key, job, 1), container_labels(key, job, 1), 'x', command=('sleep', '60'))\n"
        "print(driver('process').start(spec).name)\n"
    )
    name = stack.manage("shell", "-v", "0", "-c", make).stdout.strip()
    assert name
    assert json.loads(stack.manage("sweep", "--dry-run", "--json").stdout) == []
    age(stack, name)
    # The worker sweeps on its own, too: whoever of the two comes first removes it.
    swept = [one["name"] for one in json.loads(stack.manage("sweep", "--json").stdout)]
    assert swept in ([name], [])
    assert not (stack.data_dir / "processes" / name).exists()
    assert stack.job(live["id"])["state"] == "running"
    stack.http.post(f"/jobs/{live['id']}/cancel/")


def age(stack: RunningStack, name: str) -> None:
    """Make its creation an hour ago."""
    for path in (stack.data_dir / "processes" / name).glob("*.json"):
        told = json.loads(path.read_text())
        if "created_at_ns" in told:
            path.write_text(json.dumps({**told, "created_at_ns": told["created_at_ns"] - 3600 * 10**9}))
            return
    raise AssertionError("no file says when it was made")

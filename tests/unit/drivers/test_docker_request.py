"""What is asked of the engine for a job."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from workers.drivers.docker.images import checked
from workers.drivers.docker.progress import PullTally
from workers.drivers.docker.request import CAPABILITIES, create_body, explicit, script_archive, without_disk_quota
from workers.drivers.protocol import ContainerSpec, Mount, PullProgress, Refused

DIGEST = "sha256:" + "a" * 64


def spec(**more: Any) -> ContainerSpec:
    return ContainerSpec(name="i-j-a1", labels={"towline.job": "j"}, image="demo", **more)


def test_the_whole_request() -> None:
    asked = spec(
        command=("echo", "a b"),
        env={"A": "b=c"},
        working_dir="/w",
        user="bob",
        cpus=1.5,
        memory_bytes=2**27,
        network="none",
    )
    assert create_body(asked, 1000) == {
        "Image": "demo:latest",
        "Entrypoint": None,
        "Cmd": ["echo", "a b"],
        "Env": ["A=b=c"],
        "Labels": {"towline.job": "j"},
        "User": "bob",
        "WorkingDir": "/w",
        "HostConfig": {
            "Init": True,
            "Memory": 2**27,
            "MemorySwap": 2**27,
            "NanoCpus": 1_500_000_000,
            "PidsLimit": 512,
            "ShmSize": 2**26,
            "CapDrop": ["ALL"],
            "CapAdd": list(CAPABILITIES),
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": False,
            "NetworkMode": "none",
            "LogConfig": {"Type": "local", "Config": {"max-size": "1000", "max-file": "2", "compress": "false"}},
        },
    }


def test_a_script_replaces_the_command_and_the_entrypoint() -> None:
    plain = create_body(spec(script="echo hi", command=("x",)), 1)
    own = create_body(spec(script="#!/usr/bin/env python3\n", entrypoint=("y",)), 1)
    assert (plain["Entrypoint"], plain["Cmd"]) == (["/bin/sh", "/towline/script"], [])
    assert (own["Entrypoint"], own["Cmd"]) == (["/towline/script"], [])
    assert own["Volumes"] == {"/towline": {}}


def test_a_script_is_packed_executable() -> None:
    with tarfile.open(fileobj=io.BytesIO(script_archive("echo ü\n"))) as tar:
        member = tar.getmember("script")
        packed = tar.extractfile(member)
        assert packed is not None
        assert (member.mode, packed.read()) == (0o555, "echo ü\n".encode())


def test_stdin_ends_when_we_end_it() -> None:
    body = create_body(spec(stdin=""), 1)
    assert (body["OpenStdin"], body["StdinOnce"]) == (True, True)
    assert "OpenStdin" not in create_body(spec(), 1)


def test_gpus_are_asked_for() -> None:
    host = create_body(spec(gpus=2), 1)["HostConfig"]
    assert host["DeviceRequests"] == [{"Count": 2, "Capabilities": [["gpu"]]}]


def test_volumes_are_mounts_and_never_binds() -> None:
    host = create_body(spec(mounts=(Mount("/srv/a", "/a", read_only=True), Mount("/srv/b", "/b", read_only=False))), 1)[
        "HostConfig"
    ]
    assert "Binds" not in host
    assert [(one["Type"], one["Source"], one["Target"], one["ReadOnly"]) for one in host["Mounts"]] == [
        ("bind", "/srv/a", "/a", True),
        ("bind", "/srv/b", "/b", False),
    ]


def test_a_disk_that_nothing_enforces_is_labelled() -> None:
    body = create_body(spec(disk_bytes=2**30), 1)
    assert body["HostConfig"]["StorageOpt"] == {"size": str(2**30)}
    relaxed = without_disk_quota(body)
    assert "StorageOpt" not in relaxed["HostConfig"]
    assert relaxed["Labels"]["towline.disk-quota"] == "not-enforced"


@pytest.mark.parametrize(
    ("reference", "asked"),
    [
        ("60", "60:latest"),
        ("localhost:5000/demo", "localhost:5000/demo:latest"),
        ("localhost:5000/demo:2", "localhost:5000/demo:2"),
        (f"demo@{DIGEST}", f"demo@{DIGEST}"),
        (DIGEST, DIGEST),
    ],
)
def test_a_reference_is_never_the_beginning_of_an_id(reference: str, asked: str) -> None:
    assert explicit(reference) == asked == checked(reference)


@pytest.mark.parametrize(
    "reference", ["", " ", "a b", "--privileged", "http://x", "x/Upper", "../x", "a\n", "a" * 64, "x\0"]
)
def test_what_is_no_image_name_is_refused(reference: str) -> None:
    with pytest.raises(Refused) as refused:
        checked(reference)
    assert refused.value.verdict.code == "image_invalid_name"


def test_progress_adds_up_the_layers() -> None:
    tally = PullTally()
    tally.add({"status": "Downloading", "id": "a", "progressDetail": {"current": 10, "total": 100}})
    tally.add({"status": "Downloading", "id": "b", "progressDetail": {"current": 5, "total": 50}})
    tally.add({"status": "Download complete", "id": "a", "progressDetail": {}})
    last = tally.add({"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 100}})
    assert last == PullProgress(105, 150, "Extracting")

"""From a `ContainerSpec` to the engine's create request. Pure: what a job may do on the engine stands here.

Every job runs under an init process, without new privileges and with the few capabilities that ordinary images need:

* CHOWN, DAC_OVERRIDE, FOWNER: package managers and entrypoints that prepare folders as root
* SETGID, SETUID: entrypoints that give up root (gosu, su-exec)
* NET_BIND_SERVICE: ports below 1024 inside the container
* KILL: a root supervisor that ends children of other users

Memory is a limit without swap on top. `disk_bytes` becomes a quota where the storage driver has them (xfs with
pquota, btrfs, zfs); see `without_disk_quota` for the rest.
"""

from __future__ import annotations

import io
import re
import tarfile
from typing import Any

from workers.drivers.protocol import ContainerSpec, Mount

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
SCRIPT_DIR = "/towline"
SCRIPT = f"{SCRIPT_DIR}/script"
LABEL_DISK = "towline.disk-quota"
LABEL_TTY = "towline.tty"  # tells who reads its log that there are no frames
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")


def create_body(spec: ContainerSpec, log_bytes: int) -> dict[str, Any]:
    """The JSON of `POST /containers/create`. `log_bytes`: size of the engine's log file before it is rotated."""
    return {
        "Image": explicit(spec.image),
        **_process(spec),
        "Env": [f"{key}={value}" for key, value in spec.env.items()],
        "Labels": {**spec.labels, **({LABEL_TTY: "true"} if spec.tty else {})},
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        **(_stdin() if spec.stdin is not None else {}),
        **({"Tty": True} if spec.tty else {}),
        "HostConfig": _host_config(spec, log_bytes),
    }


def platform_of(spec: ContainerSpec) -> str | None:
    return f"linux/{spec.arch}" if spec.arch else None


def explicit(reference: str) -> str:
    """The reference with its tag spelled out: the engine takes a bare `60` for the beginning of an image id."""
    if _IMAGE_ID.fullmatch(reference) or "@" in reference or ":" in reference.rpartition("/")[2]:
        return reference
    return f"{reference}:latest"


def without_disk_quota(body: dict[str, Any]) -> dict[str, Any]:
    """The same for a storage driver without quotas.

    A user who asks for 10 GiB wants room for 10 GiB first of all, so the job runs; the label says that nothing on
    this engine holds it to that.
    """
    host = {key: value for key, value in body["HostConfig"].items() if key != "StorageOpt"}
    return {**body, "HostConfig": host, "Labels": {**body["Labels"], LABEL_DISK: "not-enforced"}}


def script_archive(script: str) -> bytes:
    """A tar with the script alone, executable and readable by any user of the container."""
    data = script.encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("script")
        member.size, member.mode = len(data), 0o555
        tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _process(spec: ContainerSpec) -> dict[str, Any]:
    if spec.script is None:
        return {"Entrypoint": _list(spec.entrypoint), "Cmd": _list(spec.command)}
    # A volume of the container's own, because a read-only root takes no files; it goes when the container goes.
    run = [SCRIPT] if spec.script.startswith("#!") else ["/bin/sh", SCRIPT]
    return {"Entrypoint": run, "Cmd": [], "Volumes": {SCRIPT_DIR: {}}}


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _stdin() -> dict[str, Any]:
    # StdinOnce closes the container's end when ours is closed.
    return {"OpenStdin": True, "StdinOnce": True, "AttachStdin": True}


def _host_config(spec: ContainerSpec, log_bytes: int) -> dict[str, Any]:
    host: dict[str, Any] = {
        "Init": True,
        "Memory": spec.memory_bytes,
        "MemorySwap": spec.memory_bytes,
        "NanoCpus": round(spec.cpus * 1e9),
        "PidsLimit": spec.pids,
        "ShmSize": spec.shm_bytes,
        "CapDrop": ["ALL"],
        "CapAdd": list(CAPABILITIES),
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": spec.read_only,
        "NetworkMode": spec.network,
        "LogConfig": _log_config(log_bytes),
    }
    if spec.mounts:
        host["Mounts"] = [_bind(mount) for mount in spec.mounts]
    if spec.disk_bytes is not None:
        host["StorageOpt"] = {"size": str(spec.disk_bytes)}
    if spec.gpus:
        host["DeviceRequests"] = [{"Count": spec.gpus, "Capabilities": [["gpu"]]}]
    return host


def _bind(mount: Mount) -> dict[str, Any]:
    """Never as `Binds`: those make what is missing on the host. Engines before 25 keep what is mounted below a read-only
    folder writable, so that is left out there."""
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate", "NonRecursive": mount.read_only},
    }


def _log_config(log_bytes: int) -> dict[str, Any]:
    """The `local` driver, because json-file turns bytes that are not UTF-8 into U+FFFD.

    Rotation makes live streams lose and repeat lines, so the file is to be larger than what most jobs ever write; see
    `logs` for the rest. The second file bounds what a job that never stops writing can do to the engine's disk.
    """
    return {"Type": "local", "Config": {"max-size": str(log_bytes), "max-file": "2", "compress": "false"}}

"""Who the engine is, from its own info. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.drivers.protocol import Engine

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i386": "386",
    "i686": "386",
    "loongarch64": "loong64",
}
DETAILS = ("Name", "OperatingSystem", "KernelVersion", "CgroupVersion", "Driver", "LiveRestoreEnabled")


def engine_of(info: Mapping[str, Any]) -> Engine:
    """From `GET /info`. `gpus` counts what the engine lists (CDI devices, generic resources), 0 where it lists none."""
    return Engine(
        id=str(info["ID"]),
        runtime="docker",
        version=str(info["ServerVersion"]),
        arch=ARCHITECTURES.get(info["Architecture"], info["Architecture"]),
        cpus=float(info["NCPU"]),
        memory_bytes=int(info["MemTotal"]),
        gpus=gpus_of(info),
        detail={key: info.get(key) for key in DETAILS} | {"nvidia": has_gpu_runtime(info)},
    )


def has_gpu_runtime(info: Mapping[str, Any]) -> bool:
    return "nvidia" in (info.get("Runtimes") or {}) or bool(_cdi_gpus(info))


def loses_newlines(engine: Engine) -> bool:
    """Whether its `local` log driver leaves out the newline of lines over 16 KiB: mended in 23.0."""
    major = engine.version.partition(".")[0]
    return major.isdigit() and int(major) < 23


def gpus_of(info: Mapping[str, Any]) -> int:
    listed = _cdi_gpus(info)
    return len(listed) or sum(_generic_gpus(resource) for resource in info.get("GenericResources") or [])


def _cdi_gpus(info: Mapping[str, Any]) -> list[str]:
    """Devices such as `nvidia.com/gpu=0`; the same ones are also listed by UUID and as `all`."""
    devices = [str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or []]
    return [device for device in devices if "/gpu=" in device and device.rpartition("=")[2].isdigit()]


def _generic_gpus(resource: Mapping[str, Any]) -> int:
    named, discrete = resource.get("NamedResourceSpec") or {}, resource.get("DiscreteResourceSpec") or {}
    if "gpu" in str(named.get("Kind", "")).lower():
        return 1
    return int(discrete.get("Value", 0)) if "gpu" in str(discrete.get("Kind", "")).lower() else 0

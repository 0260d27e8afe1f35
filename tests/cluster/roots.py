"""The root folder of a container: a busybox, the users root and nobody, and /tmp, as in Towline's demo image."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from workers.drivers.docker.busybox import FOLDERS, GROUPS, USERS, static_busybox

DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def make_bin(folder: Path) -> Path:
    """Shared by all containers, read-only there."""
    if not folder.exists():
        folder.mkdir(parents=True)
        busybox = static_busybox()
        shutil.copy(busybox, folder / "busybox")
        listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=30)
        for applet in listed.stdout.split():
            if applet != "busybox":
                (folder / applet).symlink_to("busybox")
    return folder


def make_root(root: Path) -> None:
    root.mkdir(parents=True)
    root.chmod(0o755)
    for name, mode in {**FOLDERS, "dev": 0o755, "proc": 0o555, "dev/shm": 0o1777}.items():
        (root / name).mkdir()
        (root / name).chmod(mode)
    (root / "etc/passwd").write_text(USERS)
    (root / "etc/group").write_text(GROUPS)
    (root / "dev/termination-log").touch(0o666)
    for name, numbers in DEVICES.items():
        os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        (root / "dev" / name).chmod(0o666)
    for name, target in LINKS.items():
        (root / "dev" / name).symlink_to(target)


def make_target(place: Path, source: Path) -> None:
    """Where something is to be mounted."""
    if source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()

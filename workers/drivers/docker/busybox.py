"""An image for trying out and for tests, made on the spot from a static busybox: no registry, no network."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

from docker import APIClient
from docker.errors import ImageNotFound

PLACES = ("/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox", "/bin/busybox.static", "/sbin/busybox")
FOLDERS = {"bin": 0o755, "etc": 0o755, "home": 0o755, "root": 0o700, "tmp": 0o1777, "var": 0o755}
USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUPS = "root:x:0:\nnobody:x:65534:\n"
PT_INTERP = 3


class NoBusyboxError(Exception):
    """No static busybox on this machine; the message says what to install."""


def ensure_demo_image(client: APIClient, reference: str = "towline/demo:1") -> str:
    """The reference, which is on the engine when this returns. Raises `NoBusyboxError`, and what the SDK raises."""
    try:
        client.inspect_image(reference)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        repository, _, tag = reference.rpartition(":")
        changes = ['CMD ["sh"]', "ENV PATH=/bin"]
        client.import_image_from_data(root_archive(static_busybox()), repository, tag, changes=changes)
    return reference


def static_busybox() -> Path:
    found = [Path(place) for place in (shutil.which("busybox"), shutil.which("busybox.static"), *PLACES) if place]
    for path in found:
        if path.is_file() and is_static(path.read_bytes()):
            return path
    raise NoBusyboxError("no static busybox found: install one (apt-get install busybox-static)")


def is_static(program: bytes) -> bool:
    """Whether an ELF program asks for no interpreter (ld.so), which an image of its own would not have."""
    if program[:4] != b"\x7fELF" or program[5] not in (1, 2):
        return False
    order, wide = "<" if program[5] == 1 else ">", program[4] == 2
    (table,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", program, 32 if wide else 28)
    size, count = struct.unpack_from(f"{order}HH", program, 54 if wide else 42)
    kinds = (struct.unpack_from(f"{order}I", program, table + n * size)[0] for n in range(count))
    return PT_INTERP not in kinds


def root_archive(busybox: Path) -> bytes:
    """A tar of a root file system: busybox, its applets as links, /tmp, and the users root and nobody."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder, mode in FOLDERS.items():
            tar.addfile(_member(folder, mode, kind=tarfile.DIRTYPE))
        _add_file(tar, "bin/busybox", busybox.read_bytes(), 0o755)
        _add_file(tar, "etc/passwd", USERS.encode(), 0o644)
        _add_file(tar, "etc/group", GROUPS.encode(), 0o644)
        for applet in _applets(busybox):
            link = _member(f"bin/{applet}", 0o777, kind=tarfile.SYMTYPE)
            link.linkname = "busybox"
            tar.addfile(link)
    return packed.getvalue()


def _applets(busybox: Path) -> list[str]:
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=30)
    return [applet for applet in listed.stdout.split() if applet != "busybox"]


def _member(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.type = mode, kind
    return member


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = _member(name, mode)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))

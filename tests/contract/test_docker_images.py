"""Images: pulled from a real registry, and every way in which that can fail."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from docker import APIClient
from docker.errors import ImageNotFound

from tests.contract.docker_yard import Yard, open_yard
from workers.drivers.docker.busybox import ensure_demo_image, static_busybox
from workers.drivers.protocol import Image, PullProgress, Refused

pytestmark = pytest.mark.docker
# htpasswd -Bbn towline towline
HTPASSWD = "towline:$2b$05$LUwHpWfsLtRhjL3/Ng2kZuaPHlmShASyIs45z.Of89wLWly2xji7.\n"
AARCH64 = 183  # e_machine


class Registry:
    """docker-registry on loopback, whose images go with the test."""

    def __init__(self, yard: Yard, port: int) -> None:
        self.yard = yard
        self.place = f"127.0.0.1:{port}"
        self.offered: set[str] = set()

    def offer(self, image: str, name: str) -> str:
        """Push an image of the engine's and forget it there, so that it has to be pulled."""
        reference = f"{self.place}/{name}"
        self.yard.client.tag(image, reference, "1")
        self.offered.add(f"{reference}:1")
        said = self.yard.client.push(reference, "1", auth_config={"username": "towline", "password": "towline"})
        assert "errorDetail" not in said, said
        self.forget(f"{reference}:1")
        return f"{reference}:1"

    def forget(self, reference: str) -> None:
        with contextlib.suppress(ImageNotFound):
            self.yard.client.remove_image(reference, force=True)

    def close(self) -> None:
        self.yard.clear()
        for reference in self.offered:
            self.forget(reference)


@contextlib.contextmanager
def registry(yard: Yard, folder: Path, *, private: bool = False) -> Iterator[Registry]:
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no docker-registry on this machine")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "users").write_text(HTPASSWD)
    auth = f"auth: {{htpasswd: {{realm: towline, path: {folder}/users}}}}\n" if private else ""
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/store}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n{auth}"
    )
    with subprocess.Popen([program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            await_answer(f"http://127.0.0.1:{port}/v2/")
            shelf = Registry(yard, port)
            with contextlib.closing(shelf):
                yield shelf
        finally:
            server.terminate()


def await_answer(url: str) -> None:
    limit = time.monotonic() + 20
    while True:
        try:
            urlopen(url, timeout=5).close()
        except HTTPError:
            return
        except URLError:
            assert time.monotonic() < limit, "the registry does not answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with open_yard(tmp_path / "locks") as opened:
        yield opened


def resolve(yard: Yard, reference: str, arch: str | None = None) -> tuple[Image, list[PullProgress]]:
    told: list[PullProgress] = []
    return yard.driver.resolve(reference, arch, told.append), told


def refusal(yard: Yard, reference: str, arch: str | None = None) -> str:
    with pytest.raises(Refused) as refused:
        resolve(yard, reference, arch)
    assert refused.value.verdict.evidence
    assert refused.value.verdict.remedy
    return refused.value.verdict.code


def foreign_image(client: APIClient, reference: str) -> str:
    """An image for arm64: the busybox of this machine, marked as a program for that processor."""
    program = bytearray(static_busybox().read_bytes())
    program[18:20] = AARCH64.to_bytes(2, "little")
    layer = packed({"bin/app": bytes(program)})
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]}
    config = json.dumps({"architecture": "arm64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode()
    list(client.load_image(packed({"manifest.json": manifest, "config.json": config, "layer.tar": layer})))  # type: ignore[no-untyped-call]
    return reference


def packed(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def test_an_image_that_is_here_is_not_pulled(yard: Yard) -> None:
    image, told = resolve(yard, yard.image)
    assert (image.reference, image.architecture, image.pulled, told) == (yard.image, "amd64", False, [])
    assert image.digest.startswith("sha256:")
    assert resolve(yard, image.digest)[0].digest == image.digest


def test_a_missing_image_is_pulled_with_progress_and_pinned(yard: Yard, tmp_path: Path) -> None:
    with registry(yard, tmp_path) as shelf:
        reference = shelf.offer(yard.image, "some/demo")
        image, told = resolve(yard, reference)
        assert image.pulled
        assert image.digest.startswith(f"{shelf.place}/some/demo@sha256:")
        assert told
        assert told[-1].done_bytes == told[-1].total_bytes
        assert yard.run("echo", "pinned", image=image.digest).output == b"pinned\n"


def test_a_missing_tag_or_repository_is_not_found(yard: Yard, tmp_path: Path) -> None:
    with registry(yard, tmp_path) as shelf:
        assert refusal(yard, f"{shelf.place}/nosuch:1") == "image_not_found"
        reference = shelf.offer(yard.image, "demo")
        assert refusal(yard, reference.removesuffix("1") + "2") == "image_not_found"


def test_a_private_image_is_unauthorized(yard: Yard, tmp_path: Path) -> None:
    with registry(yard, tmp_path, private=True) as shelf:
        assert refusal(yard, shelf.offer(yard.image, "secret")) == "image_unauthorized"


def test_a_registry_that_is_not_there_is_unreachable(yard: Yard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert refusal(yard, f"127.0.0.1:{port}/demo:1") == "image_registry_unreachable"
    assert refusal(yard, "registry.invalid/demo:1") == "image_registry_unreachable"


def test_a_registry_that_says_nothing_holds_nobody_up(yard: Yard) -> None:
    """Who waits is asked again and again whether to go on: a cancel, or a time-out, ends the wait."""

    class EnoughError(Exception):
        pass

    def give_up(now: PullProgress) -> None:
        raise EnoughError

    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(EnoughError):
            yard.driver.resolve(f"127.0.0.1:{silent.getsockname()[1]}/silent:1", None, give_up)
        assert time.monotonic() - began < 5


def test_an_image_for_another_processor_is_told(yard: Yard, tmp_path: Path) -> None:
    foreign = foreign_image(yard.client, f"towline/foreign-{yard.installation}:1")
    try:
        with registry(yard, tmp_path) as shelf:
            reference = shelf.offer(foreign, "foreign")
            assert refusal(yard, reference, "amd64") == "image_wrong_platform"
            assert resolve(yard, reference, "arm64")[0].architecture == "arm64"
            assert refusal(yard, reference, "amd64") == "image_wrong_platform"
        ran = yard.run("/bin/app", image=foreign)
        assert ran.code == "wrong_platform"
    finally:
        yard.clear()
        yard.client.remove_image(foreign, force=True)


@pytest.mark.parametrize("reference", ["", "a b", "http://x", "--privileged", "x/Upper:1"])
def test_what_is_no_name_never_reaches_the_engine(yard: Yard, reference: str) -> None:
    assert refusal(yard, reference) == "image_invalid_name"


def test_the_demo_image_is_made_once(yard: Yard) -> None:
    reference = f"towline/demo-{yard.installation}:1"
    try:
        assert ensure_demo_image(yard.client, reference) == reference
        first = yard.client.inspect_image(reference)["Id"]  # type: ignore[no-untyped-call]
        ensure_demo_image(yard.client, reference)
        assert yard.client.inspect_image(reference)["Id"] == first  # type: ignore[no-untyped-call]
    finally:
        yard.client.remove_image(reference)

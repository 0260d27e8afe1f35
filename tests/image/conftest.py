"""The image that `make image` made, if it holds this very code."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.image.composed import TOWLINE, images
from tests.stack import ROOT

CODE = ("jobs", "workers", "tracing", "platform")
TOOLS = ("cc", "gcc", "g++", "c++", "clang", "tcc", "ld", "as", "make", "cargo", "go")
LOOK = Path(__file__).with_name("contents.py").read_text(encoding="utf-8")


def lacks(why: str) -> NoReturn:
    """As with what a marker names: TOWLINE_REQUIRE says whether it may be lacking."""
    if "image" in os.environ.get("TOWLINE_REQUIRE", "").split(","):
        pytest.fail(f"image: {why}")
    pytest.skip(f"image: {why}")


def run(*args: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Python in a container of it."""
    asked = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", *options, TOWLINE, *args]
    return subprocess.run(asked, capture_output=True, text=True, timeout=100, check=False)


def code_of_this_checkout() -> str:
    code = hashlib.sha256()
    for path in sorted(str(each.relative_to(ROOT)) for top in CODE for each in (ROOT / top).rglob("*.py")):
        code.update(path.encode() + (ROOT / path).read_bytes())
    return code.hexdigest()


@pytest.fixture(scope="session")
def inside() -> dict[str, Any]:
    """What is found in there."""
    if TOWLINE not in images():
        lacks(f"{TOWLINE} is not there: `make image`")
    looked = run("-c", LOOK, *CODE, "--", *TOOLS)
    assert looked.returncode == 0, looked.stderr
    found: dict[str, Any] = json.loads(looked.stdout)
    if found["code"] != code_of_this_checkout():
        lacks(f"{TOWLINE} was made of other code: `make image`")
    return found


@pytest.fixture(scope="session")
def told(inside: dict[str, Any]) -> dict[str, Any]:
    """What the engine says of it."""
    listed = subprocess.run(["docker", "image", "inspect", TOWLINE], capture_output=True, check=True)
    return dict(json.loads(listed.stdout)[0])

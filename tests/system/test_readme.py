"""What the README tells people to type does what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.stack import ROOT, RunningStack


@pytest.mark.skipif(not shutil.which("curl"), reason="curl: not installed")
def test_rest_in_five_lines(stack: RunningStack) -> None:
    (lines,) = re.findall(r"^## REST in five lines\n.*?```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert lines.count("\n") == 5
    here = lines.replace("http://127.0.0.1:8000", stack.url).replace(".towline/", f"{stack.data_dir}/")
    told = subprocess.run(["bash", "-euc", here], capture_output=True, text=True, timeout=90, check=True).stdout
    output, waited, cancelled = told.replace("}{", "}\n{").splitlines()
    assert output == "hello"
    assert [json.loads(text)["state"] for text in (waited, cancelled)] == ["succeeded", "succeeded"]

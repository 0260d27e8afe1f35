"""Read by tests and run inside the image, where there is no tests folder: what is in there, as one JSON object.

The arguments are the folders of code, then `--`, then the programs that should not be there.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator

import docker
import kubernetes

CODE = sys.argv[1 : sys.argv.index("--")]
TOOLS = sys.argv[sys.argv.index("--") + 1 :]


def files(*tops: str) -> Iterator[str]:
    for top in tops:
        for folder, _, names in os.walk(top):
            yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118


def is_writable(path: str) -> bool:
    return os.access(path, os.W_OK) and not os.path.islink(path)  # noqa: PTH114


def owner(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_uid, found.st_gid


def digest() -> str:
    code = hashlib.sha256()
    for path in sorted(each for each in files(*CODE) if each.endswith(".py")):
        with open(path, "rb") as source:  # noqa: PTH123
            code.update(path.encode() + source.read())
    return code.hexdigest()


print(  # noqa: T201
    json.dumps(
        {
            "code": digest(),
            "ids": [os.getuid(), os.getgid()],
            "tools": [each for each in TOOLS if shutil.which(each)],
            "strangers": [each for each in files("/app", "/opt/towline") if owner(each) != (0, 0)][:5],
            "writable": [each for each in files("/app", "/opt", "/usr", "/etc") if is_writable(each)][:5],
            "wheels": [each for each in files("/app", "/opt", "/build") if each.endswith(".whl")][:5],
            "folders": sorted(os.listdir("/app")),  # noqa: PTH208
            "docker": docker.__file__,
            "clients": [hasattr(docker, "DockerClient"), hasattr(kubernetes, "__version__")],
            "static": os.path.exists("/app/static/admin"),  # noqa: PTH110
            "data": [os.access(each, os.W_OK) for each in ("/data", "/logs", "/tmp")],
        }
    )
)

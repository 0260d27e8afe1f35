"""`python -m tests.cluster --kubeconfig FILE`: a cluster as a process of its own; one line of JSON says when it is ready."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import ssl
import sys
import tempfile
from pathlib import Path

from aiohttp import web

from .assembly import ROOM, Assembly, Control, Plan
from .certificates import server_context
from .kubelet import Settings
from .nodes import Patience

TOKEN = "emulated"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.cluster")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where to write one")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, help="for containers and logs; a temporary folder otherwise")
    parser.add_argument("--namespace", action="append", default=[], help="to make, beside towline-jobs")
    parser.add_argument("--room", type=json.loads, default={}, help="of the node: JSON, resource to quantity")
    parser.add_argument("--image", action="append", default=[], help="that the node has")
    parser.add_argument("--start-seconds", type=float, default=Settings.start_seconds)
    parser.add_argument("--backoff-seconds", type=float, default=Settings.backoff_seconds)
    parser.add_argument("--log-bytes", type=int, default=10 * 1024**2, help="of a container, before it is rotated")
    parser.add_argument("--log-files", type=int, default=5, help="kept, the newest among them")
    parser.add_argument("--with-parent", action="store_true", help="end when whoever started it has")
    parser.add_argument("--lost-seconds", type=float, default=Patience.lost_seconds)
    parser.add_argument("--evict-seconds", type=float, help="at most, after which pods of a lost node are to go")
    parser.add_argument("--tls", action="store_true", help="as all real ones: with a certificate of its own authority")
    return parser.parse_args()


def planned(given: argparse.Namespace, data: Path, tls: ssl.SSLContext | None) -> Plan:
    settings = Settings(
        start_seconds=given.start_seconds, backoff_seconds=given.backoff_seconds, images=tuple(given.image)
    )
    return Plan(
        data=data, port=given.port, namespaces=("towline-jobs", *given.namespace), room={**ROOM, **given.room},
        log_bytes=given.log_bytes, log_files=given.log_files, settings=settings,
        patience=Patience(given.lost_seconds, given.evict_seconds), tls=tls,
    )  # fmt: skip


async def serve(given: argparse.Namespace, data: Path) -> None:
    tls, authority = server_context(data) if given.tls else (None, b"")
    cluster = Assembly(planned(given, data, tls))
    await cluster.start()
    runner = web.ServerRunner(web.Server(Control(cluster).handle), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"{'https' if tls else 'http'}://127.0.0.1:{cluster.server.port}"
    write_config(given.kubeconfig, url, authority)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    ready = {"url": url, "control": f"http://127.0.0.1:{runner.addresses[0][1]}", "kubeconfig": str(given.kubeconfig),
             "pid": os.getpid(), "data": str(data)}  # fmt: skip
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    parent = os.getppid()
    while not ended.is_set() and (os.getppid() == parent or not given.with_parent):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 1)
    await runner.cleanup()
    await cluster.stop()


def write_config(path: Path, url: str, authority: bytes) -> None:
    name = "emulated"
    way = {"server": url}
    if authority:
        way["certificate-authority-data"] = base64.b64encode(authority).decode()
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": name, "preferences": {},
        "clusters": [{"name": name, "cluster": way}],
        "users": [{"name": name, "user": {"token": TOKEN}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "towline-jobs"}}],
    }  # fmt: skip
    path.write_text(json.dumps(config))  # JSON is YAML as well


def main() -> None:
    given = arguments()
    data = given.data or Path(tempfile.mkdtemp(prefix="towline-cluster-"))
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o755)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(given, data))
    finally:
        if not given.data:
            shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()

"""The three processes of a shim, and what is left to do when one of them is killed.

    launcher   started by the worker; forks the guard, waits until the job counts as started, ends
      guard    does nothing but wait; a subreaper above the supervisor, so the job's processes fall to it
        supervisor   starts the job and sees it through (`supervisor`); a subreaper too

Supervisor killed: the kernel kills the main process with it, the guard all others, and notes it. Guard killed: the
supervisor goes on. Both at once: the main process dies, and whoever looks finds the lock free and no exit; only
processes that the job had forked off can then survive.
"""

# The shim does without pathlib: 5 ms and a megabyte.
# ruff: noqa: PTH110
from __future__ import annotations

import os
import signal
import sys
import time

from workers.drivers.process import files, subtree
from workers.drivers.process.supervisor import Supervisor


def launch(folder: str, lock: int, control: int) -> None:
    """In the launcher. Exits with 0 once the start is on the disk, with 1 when there will be none."""
    _forget_the_worker(lock, control)
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(told)
        _guard(folder, control, tell)
    os.close(tell)
    os._exit(0 if os.read(told, 1) else 1)


def _forget_the_worker(*fds: int) -> None:
    """Nothing of the worker's may reach the job: not its signals set to ignored, not its folder."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for fd in fds:
        os.set_inheritable(fd, False)  # noqa: FBT003 - positional only
    os.chdir("/")


def _guard(folder: str, control: int, tell: int) -> None:
    subtree.become_subreaper()
    supervisor = os.fork()
    if supervisor == 0:
        _supervise(folder, control, tell)
    os.close(tell)
    _, status = os.waitpid(supervisor, 0)
    if status != 0:
        subtree.end_all(_nothing)
        _note_loss(folder, status)
    os._exit(0)


def _supervise(folder: str, control: int, tell: int) -> None:
    try:
        Supervisor(folder, control).run(tell)
    except BaseException as error:  # noqa: BLE001 - the outermost border of this process
        sys.excepthook(type(error), error, error.__traceback__)  # into shim.log
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _note_loss(folder: str, status: int) -> None:
    if not os.path.exists(f"{folder}/{files.STARTED}") or os.path.exists(f"{folder}/{files.EXIT}"):
        return
    how = f"was killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "failed, see shim.log"
    files.write_json(
        f"{folder}/{files.EXIT}",
        {
            "exit_code": None,
            "cause": "container_vanished",
            "error": f"the shim {how}; the job was killed with it",
            "finished_at_ns": time.time_ns(),
        },
    )


def _nothing(_pid: int, _status: int) -> None:
    return

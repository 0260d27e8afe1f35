"""Sees one job through: starts it, stores its output, watches its size, passes on signals, writes down its end.

The one process that must not fail. It blocks on nothing but the disk, and needs neither the worker nor the database.
"""

# The shim does without pathlib: 5 ms and a megabyte.
# ruff: noqa: PTH108, PTH123
from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import Any

from workers.drivers.process import files, subtree
from workers.drivers.process.records import LineJoiner, RecordWriter
from workers.drivers.process.spawn import StartError, spawn

LOOK_SECONDS = 0.1  # between two looks at memory and processes
READ_BYTES = 256 * 1024
PIPE_BYTES = 1024 * 1024
OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Supervisor:
    def __init__(self, folder: str, control: int) -> None:
        self.folder = folder
        self.control = control
        self.output = RecordWriter(f"{folder}/{files.OUTPUT}")
        self.joiners: dict[int, tuple[int, LineJoiner]] = {}  # by descriptor: stream, its unfinished line
        self.poller = select.poll()
        self.main = 0
        self.status: int | None = None  # of the main process, as wait says it
        self.peak_bytes = 0
        self.next_look_at = 0.0
        self.end: dict[str, Any] = {"cause": "", "error": "", "oom_killed": False}

    def run(self, tell: int) -> None:
        """From the first mark on the disk to the last. `tell` gets a byte when the job counts as started."""
        launch = files.read_json(f"{self.folder}/{files.LAUNCH}")
        if launch is None:
            raise RuntimeError("nothing to launch")
        self._mark_started()
        os.write(tell, b"1")
        os.close(tell)
        os.unlink(f"{self.folder}/{files.LAUNCH}")
        try:
            self._begin(launch)
            self._watch(launch)
        except StartError as error:
            self.end.update(cause=error.cause, error=str(error), exit_code=error.exit_code)
        self._finish()

    def _mark_started(self) -> None:
        """Before the command, never after: started and not known is what would run it twice."""
        me = subtree.look(os.getpid())
        files.write_json(
            f"{self.folder}/{files.STARTED}",
            {
                "pid": os.getpid(),
                "start_ticks": me.start_ticks if me else 0,
                "boot_id": subtree.boot_id(),
                "started_at_ns": time.time_ns(),
            },
        )

    def _begin(self, launch: dict[str, Any]) -> None:
        subtree.become_subreaper()
        self._wake_on_child_end()
        process = spawn(self.folder, launch)
        self.main = process.pid
        process.returncode = 0  # we reap it ourselves, among all others
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("no pipes")
        for stream, pipe in enumerate((process.stdout, process.stderr), start=1):
            self._read_from(stream, os.dup(pipe.fileno()))
            pipe.close()
        self.poller.register(self.control, select.POLLIN)

    def _wake_on_child_end(self) -> None:
        self.woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.poller.register(self.woken, select.POLLIN)

    def _read_from(self, stream: int, fd: int) -> None:
        os.set_blocking(fd, False)
        with suppress(OSError):  # users have an allowance of pipe memory; the small one works too
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.joiners[fd] = stream, LineJoiner()
        self.poller.register(fd, select.POLLIN)

    def _watch(self, launch: dict[str, Any]) -> None:
        while self.status is None:
            for fd, _ in self.poller.poll(LOOK_SECONDS * 1000):
                self._attend(fd)
            subtree.reap(self._reaped)
            if (now := time.monotonic()) >= self.next_look_at:
                self._look(launch["memory_bytes"], launch["pids"])
                cost = time.monotonic() - now  # grows with the job's page tables; keep it to a twentieth of our time
                self.next_look_at = now + max(LOOK_SECONDS, 20 * cost)

    def _attend(self, fd: int) -> None:
        if fd == self.control:
            self._obey(os.read(fd, 1))
        elif fd == self.woken:
            os.read(fd, READ_BYTES)
        elif fd in self.joiners:
            self._store(fd)

    def _obey(self, order: bytes) -> None:
        if order == files.KILL:
            self._end_all()
        elif self.status is None:  # not reaped, so the pid is still its own
            os.kill(self.main, signal.SIGTERM)

    def _store(self, fd: int) -> bool:
        """Move what is there from pipe to file. Whether there may be more."""
        try:
            chunk = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        stream, joiner = self.joiners[fd]
        for piece in joiner.feed(chunk):
            self._append(stream, piece)
        if not chunk:
            self._append(stream, joiner.flush())
            self.poller.unregister(fd)
            os.close(fd)
            del self.joiners[fd]
        return bool(chunk)

    def _append(self, stream: int, data: bytes) -> None:
        if not data or self.end["cause"] == "disk_full":
            return
        try:
            self.output.append(stream, time.time_ns(), data)
        except OSError as error:
            if error.errno not in OUT_OF_SPACE:
                raise
            self._give_up("disk_full", f"storing the output: {error.strerror}")

    def _look(self, memory_bytes: int, pids: int) -> None:
        found = subtree.descendants(os.getpid(), enough=pids + 1)
        processes = [seen for pid in found if (seen := subtree.look(pid))]
        used = subtree.rss_bytes(processes)
        if used > memory_bytes:  # now it is worth counting shared pages once
            used = subtree.memory_bytes(each.pid for each in processes)
        self._note_peak(used)
        if used > memory_bytes:
            self.end["oom_killed"] = True
            self._give_up("oom_killed", f"used {used} bytes of memory, {memory_bytes} allowed")
        elif (threads := sum(each.threads for each in processes)) > pids:
            self._give_up("pids_exhausted", f"{threads} or more processes and threads, {pids} allowed")

    def _note_peak(self, used: int) -> None:
        if used <= self.peak_bytes:
            return
        self.peak_bytes = used
        with suppress(OSError), open(f"{self.folder}/{files.PEAK}", "w") as file:
            file.write(str(used))

    def _give_up(self, cause: str, error: str) -> None:
        self.end.update(cause=cause, error=error)
        self._end_all()

    def _end_all(self) -> None:
        subtree.end_all(self._reaped)

    def _reaped(self, pid: int, status: int) -> None:
        if pid == self.main:
            self.status = status

    def _finish(self) -> None:
        """The main process is over, so all of it is; then the rest of the output, then the end."""
        self._end_all()
        for fd in list(self.joiners):
            while fd in self.joiners and self._store(fd):
                pass
        for stream, joiner in self.joiners.values():  # someone outside of the job still holds the pipe
            self._append(stream, joiner.flush())
        try:
            self.output.close()
        except OSError as error:
            self.end.update(cause="disk_full", error=f"storing the output: {error.strerror}")
        self._write_end()

    def _write_end(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # a child counts what it was before exec: us
        self.end.update(
            finished_at_ns=time.time_ns(),
            memory_peak_bytes=max(self.peak_bytes, usage.ru_maxrss * 1024 if usage.ru_maxrss > ours else 0),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
        )
        if self.status is not None:
            code = os.waitstatus_to_exitcode(self.status)
            self.end.update(exit_code=code if code >= 0 else 128 - code, signal=-code if code < 0 else None)
        while not self._written():
            with suppress(OSError):
                os.unlink(f"{self.folder}/{files.RESERVE}")
            time.sleep(0.2)

    def _written(self) -> bool:
        """False if the disk is full: it will not be so for ever, and this is all that is left to say."""
        try:
            files.write_json(f"{self.folder}/{files.EXIT}", self.end)
        except OSError as error:
            return error.errno not in OUT_OF_SPACE
        return True

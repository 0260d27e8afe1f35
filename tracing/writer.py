"""The way of records into the table: a bounded buffer and one thread that writes batches. Never blocks, never fails who traces.

How rows are written is in `tracing.table`, what becomes of the values in `tracing.columns`.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Mapping, Sequence

from django.db import DatabaseError, DataError, Error, IntegrityError, connection, transaction

from . import table
from .columns import values_of
from .presence import BEAT_SECONDS, Presence
from .records import Noted, Record

log = logging.getLogger(__name__)
GATHER_SECONDS = 0.4  # what comes together is written together; and so long it takes at least until it can be seen
BATCH = 2000
BATCH_SQLITE = 300  # nobody else can write meanwhile
AGAIN_SECONDS, AGAIN_SECONDS_MOST = 0.5, 5.0
STOP_SECONDS = 5.0
# Classes of SQLSTATE that say that the data is at fault: data, constraints, limits of the program.
BAD_DATA = ("22", "23", "54")

Given = Record | Noted


class Writer:
    """Of this process, known as `role`. `most` records wait at most; more are dropped, and counted.

    But the end of what has begun is always taken: its row would stay open.
    """

    def __init__(self, role: str, most: int = 50_000) -> None:
        self._role, self._most = role, most
        self._begin_anew()
        _writers.add(self)

    def _begin_anew(self) -> None:
        """Nothing of what another process has, whose copy this one is."""
        self.id = uuid.uuid4()
        self.process = f"{self._role} {socket.gethostname()} {os.getpid()}"
        self.written = self.dropped = 0
        self.trouble: str | None = None  # why nothing can be written just now
        self._waiting: deque[Given] = deque()
        self._unclosed: set[table.Key] = set()  # taken as open, by this process alone
        self._ids: dict[table.Key, int] = {}  # of rows that are open
        self._in_doubt = False  # whether the last batch was written, nobody said
        self._busy = self._refused = False
        self._pause = AGAIN_SECONDS
        self._lock = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._presence = Presence(self.id, self.process)

    # --- for who traces -----------------------------------------------------------------------------------------------

    def put(self, record: Given) -> None:
        if not self._has_room_for(record):
            self._drop()
            return
        self._waiting.append(record)
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self.start()

    def _has_room_for(self, record: Given) -> bool:
        room = len(self._waiting) < self._most
        if record.shared:
            return room
        if record.ended_ns is None:
            if room:
                self._unclosed.add(record.key)
            return room
        if record.key in self._unclosed:  # or its row would stay open
            self._unclosed.discard(record.key)
            return True
        return room

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    # --- beginning and end --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Needs not be called: the first record does it."""
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                thread = threading.Thread(target=self._run, name="span-writer", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is ending
                    return
                self._thread = thread

    def settle(self, seconds: float = STOP_SECONDS) -> bool:
        """Wait until all that was put is written or dropped; False: it took too long."""
        until = time.monotonic() + seconds
        while self._waiting or self._busy:
            if time.monotonic() > until:
                return False
            self._wake.set()
            time.sleep(0.005)
        return True

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """What waits is still written, if that can be done in so many seconds. Nothing is taken afterwards."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._wake.wait(BEAT_SECONDS):
                self._stopping.wait(GATHER_SECONDS)
            self._wake.clear()
            if not self._round():
                self._wake_later()
        if self._write_all():
            self._beat(stopped=not (self._unclosed or self._waiting))
        connection.close()

    def _round(self) -> bool:
        self._busy = True
        try:
            return self._write_all() and self._beat()
        except Exception:
            log.exception("a mistake while writing spans")
            return False
        finally:
            connection.close_if_unusable_or_obsolete()
            self._busy = False

    def _wake_later(self) -> None:
        self._stopping.wait(self._pause)
        self._pause = min(2 * self._pause, AGAIN_SECONDS_MOST)
        self._wake.set()

    def _write_all(self) -> bool:
        """Of what waits now; or False, and what could not be written waits on."""
        for _ in range(1 + len(self._waiting) // self._batch):
            if self._presence.due() and self._waiting and not self._beat():
                return False
            if not self._store(self._taken()):
                return False
        return True

    @property
    def _batch(self) -> int:
        return BATCH if connection.vendor == "postgresql" else BATCH_SQLITE

    def _taken(self) -> list[Record]:
        """The next ones, each span once: of one that has opened and closed, the end says all."""
        found: dict[table.Key, Given] = {}
        for _ in range(self._batch):
            if (given := self._next()) is None:
                break
            before = found.get(given.key)
            if before is None or before.ended_ns is None or given.ended_ns is not None:
                found[given.key] = given
        return [record for given in found.values() if (record := self._made_of(given))]

    def _made_of(self, given: Given) -> Record | None:
        try:
            return given.record()
        except Exception as error:  # noqa: BLE001 - one that can't be read must not take others along
            self._drop()
            log.warning("a span is dropped, as it can't be read: %r", error)
            return None

    def _next(self) -> Given | None:
        return self._waiting.popleft() if self._waiting else None

    def _store(self, batch: Sequence[Record]) -> bool:
        """Of a batch that the database does not take for its data, all but those at fault. False: it takes nothing now."""
        if not batch:
            return True
        try:
            with transaction.atomic():
                ids = self._write(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, who traces has nothing to do with it
            if _is_trouble(error):
                self._waiting.extendleft(reversed(batch))
                self._in_doubt = True
                self._tell_trouble(error)
                return False
            return self._store_but_the_culprit(batch, error)
        self._after(batch, ids)
        return True

    def _store_but_the_culprit(self, batch: Sequence[Record], error: Exception) -> bool:
        if len(batch) == 1:
            self._refuse(batch[0], error)
            return True
        half = len(batch) // 2
        first, second = self._store(batch[:half]), self._store(batch[half:])
        return first and second

    def _write(self, batch: Sequence[Record]) -> dict[table.Key, int | None]:
        """The ids of those that have one: it is there already, or it is still open."""
        shared = {record.key for record in batch if record.shared or self._in_doubt}
        table.lock({trace for trace, _ in shared})
        known = table.ids_of(shared)
        ids = {record.key: known.get(record.key, self._ids.get(record.key)) for record in batch}
        # What is there stays as it is when somebody says late that it has begun.
        due = [record for record in batch if record.ended_ns is not None or ids[record.key] is None]
        begun = [record.key for record in due if record.ended_ns is None]
        ids.update(zip(begun, table.new_ids(len(begun)), strict=True))
        table.write([self._row(record, ids[record.key]) for record in due])
        return ids

    def _row(self, record: Record, pk: int | None) -> dict[str, object]:
        return {"id": pk, **values_of(record, None if record.shared else self.id)}

    def _after(self, batch: Sequence[Record], ids: Mapping[table.Key, int | None]) -> None:
        for record in batch:
            pk = ids[record.key]
            if record.ended_ns is not None:
                self.written += 1
                self._ids.pop(record.key, None)
            elif pk is not None and not record.shared:
                self._ids[record.key] = pk
        self._in_doubt, self._pause = False, AGAIN_SECONDS
        if self.trouble is not None:
            self.trouble = None
            log.warning("spans are written again; %d were dropped since this process began", self.dropped)

    def _beat(self, *, stopped: bool = False) -> bool:
        nothing_yet = not (self.written or self.dropped or self._ids or self._waiting)
        if nothing_yet or not (stopped or self._presence.due()):
            return True
        try:
            self._presence.beat(self.written, self.dropped, stopped=stopped)
        except Error as error:
            self._tell_trouble(error)
            return False
        return True

    # --- what is said of it -------------------------------------------------------------------------------------------

    def _tell_trouble(self, error: Exception) -> None:
        connection.close()
        if self.trouble is None:
            log.warning("spans wait, up to %d, as the database does not take them: %s", self._most, str(error).strip())
        self.trouble = str(error).strip() or type(error).__name__

    def _refuse(self, record: Record, error: Exception) -> None:
        self._drop()
        self._ids.pop(record.key, None)
        if not self._refused:
            log.warning("the span %s %s is dropped, and others may be: %s", record.service, record.operation, error)
        self._refused = True


def _is_trouble(error: Exception) -> bool:
    """The database's own, and not for what it was asked to take."""
    if not isinstance(error, Error) or isinstance(error, DataError | IntegrityError):
        return False
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return not (isinstance(error, DatabaseError) and state.startswith(BAD_DATA))


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _in_a_fork() -> None:
    for writer in list(_writers):
        writer._begin_anew()


os.register_at_fork(after_in_child=_in_a_fork)

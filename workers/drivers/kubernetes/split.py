"""Stdout and stderr of a pod read one by one, each with its own place, and given as one output.

Live, each is followed by a thread of its own for as long as the reading lasts: the kubelet may hold back even the head of an
answer until there is a first line, which stderr may never have. What is over is read side by side.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress

from workers.drivers.kubernetes.answers import UntoldError
from workers.drivers.kubernetes.cursor import Places
from workers.drivers.kubernetes.merging import Merger, is_same_line
from workers.drivers.kubernetes.reader import TICK_SECONDS, LogReader
from workers.drivers.output import Batch, Missing, Output, Stream
from workers.drivers.protocol import Phase

WAITING = 4  # outputs of both streams that are held until they are wanted
_Item = tuple[Stream, Output | Exception | None]


class SplitReader:
    """`make` gives a reader of one stream from its place."""

    def __init__(self, make: Callable[[Stream, Places], LogReader], places: Places, silence_seconds: float) -> None:
        streams: tuple[Stream, ...] = ("stdout", "stderr")
        self._readers = {stream: make(stream, places) for stream in streams}
        self._make = make
        self._merger = Merger(places)
        self._silence_seconds = silence_seconds
        self._is_proven = places != Places()  # that these are two streams, not one twice
        self._is_gone = False

    def live(self) -> Iterator[Output]:
        """Until the pod is over, or nothing came of either for so long."""
        pouring = _Pouring(self._readers)
        try:
            for stream, output in pouring.outputs(self._silence_seconds):
                if isinstance(output, Batch):
                    self._prove(stream, output)
                    yield self._merger.alone(stream, output)
                else:
                    yield from self._missing(output)
        finally:
            pouring.stop()

    def read_out(self, patience_seconds: float) -> Iterator[Output]:
        """What lies there of both, by its stamps."""
        sources = {stream: reader.read_out(patience_seconds) for stream, reader in self._readers.items()}
        held: dict[Stream, Batch | None] = dict.fromkeys(sources)
        while True:
            for stream in [stream for stream, batch in held.items() if batch is None]:
                held[stream] = yield from self._next(sources[stream])
            out, err = held["stdout"], held["stderr"]
            if out and err:
                if not self._is_proven and is_same_line(out, err):
                    raise UntoldError
                batch, held["stdout"], held["stderr"] = self._merger.together(out, err)
            elif out:
                batch, held["stdout"] = self._merger.alone("stdout", out), None
            elif err:
                batch, held["stderr"] = self._merger.alone("stderr", err), None
            else:
                return
            self._is_proven = True
            yield batch

    def _next(self, source: Iterator[Output]) -> Generator[Output, None, Batch | None]:
        for output in source:
            if isinstance(output, Batch):
                return output
            yield from self._missing(output)
        return None

    def _missing(self, missing: Missing) -> Iterator[Missing]:
        """What is gone is gone for both, and is said once."""
        if missing.reason != "removed" or not self._is_gone:
            self._is_gone = self._is_gone or missing.reason == "removed"
            yield missing

    def _prove(self, stream: Stream, first: Batch) -> None:
        """An older kubelet behind a newer API server serves all for either: then the other one begins with the same line."""
        if self._is_proven:
            return
        other: Stream = "stdout" if stream == "stderr" else "stderr"
        for output in self._make(other, Places()).lying():
            if is_same_line(first, output):
                raise UntoldError
            break
        self._is_proven = True


class _Pouring:
    """Both readers at work, and what they bring."""

    def __init__(self, readers: Mapping[Stream, LogReader]) -> None:
        self._brought: queue.Queue[_Item] = queue.Queue(WAITING)
        self._stopped = threading.Event()
        self._threads = []
        for stream, reader in readers.items():
            reader.stopping = self._stopped.is_set
            self._threads.append(threading.Thread(target=self._pour, args=(stream, reader), daemon=True))
        for thread in self._threads:
            thread.start()

    def outputs(self, silence_seconds: float) -> Iterator[tuple[Stream, Output]]:
        heard_at, left = time.monotonic(), len(self._threads)
        while left and time.monotonic() - heard_at < silence_seconds:
            with suppress(queue.Empty):
                stream, output = self._brought.get(timeout=min(TICK_SECONDS, silence_seconds))
                heard_at = time.monotonic()
                if isinstance(output, Exception):
                    raise output
                if output is None:
                    left -= 1
                else:
                    yield stream, output

    def stop(self) -> None:
        """What is silent is kept for the next reading. One that waits for the head of its answer is not waited for."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(2 * TICK_SECONDS)

    def _pour(self, stream: Stream, reader: LogReader) -> None:
        try:
            while not self._stopped.is_set() and reader.look() is Phase.RUNNING:
                for output in reader.live():
                    if not self._bring(stream, output):
                        return
                    if isinstance(output, Missing) and output.reason == "removed":
                        return
        except Exception as error:  # noqa: BLE001  # to be raised where it is read
            self._bring(stream, error)
        finally:
            self._bring(stream, None)

    def _bring(self, stream: Stream, output: Output | Exception | None) -> bool:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._brought.put((stream, output), timeout=TICK_SECONDS)
                return True
        return False

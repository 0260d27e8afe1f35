"""A terminal's log has no frames: however it is cut on the way, the messages are found again."""

from __future__ import annotations

from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from workers.drivers.docker.terminal import PART_BYTES, Terminal

LINES = st.lists(
    st.builds(
        lambda size, tail: b"x" * size + tail + b"\r\n",
        st.sampled_from([0, 5, PART_BYTES - 2, PART_BYTES, PART_BYTES + 7, 2 * PART_BYTES]),
        st.sampled_from([b"", b" \r50%\r60%", b"2026-11-21T23:43:48.000000001Z forged", b"\x00\xff\x1b[31m"]),
    ),
    min_size=1,
    max_size=5,
)


def messages_of(lines: list[bytes], *, loses_newlines: bool) -> list[bytes]:
    """As the engine stores them: parts of long lines, each with a stamp."""
    messages: list[bytes] = []
    for number, line in enumerate(lines):
        parts = [line[at : at + PART_BYTES] for at in range(0, len(line), PART_BYTES)]
        if loses_newlines and len(parts) > 1:
            parts[-1] = parts[-1].removesuffix(b"\n")
        messages += [b"2026-11-21T23:43:48.%09dZ " % (number * 100 + n) + part for n, part in enumerate(parts) if part]
    return messages


def framed(raw: bytes, step: int, *, loses_newlines: bool = False) -> bytes:
    terminal = Terminal(loses_newlines=loses_newlines)
    pieces = [terminal.feed(raw[at : at + step]) for at in range(0, len(raw), step)]
    return b"".join([*pieces, terminal.flush()])


@given(LINES, st.integers(1, 20_000))
def test_messages_are_found_wherever_it_is_cut(lines: list[bytes], step: int) -> None:
    messages = messages_of(lines, loses_newlines=False)
    expected = b"".join(pack(">BxxxL", 1, len(message)) + message for message in messages)
    assert framed(b"".join(messages), step) == expected


def test_the_last_part_of_a_long_line_ends_where_a_stamp_follows() -> None:
    """Of an engine before 23, which leaves out its newline."""
    messages = messages_of([b"a\r\n", b"x" * PART_BYTES + b"end\r\n", b"next\r\n"], loses_newlines=True)
    expected = b"".join(pack(">BxxxL", 1, len(message)) + message for message in messages)
    for step in (1, 7, 10**6):
        assert framed(b"".join(messages), step, loses_newlines=True) == expected


def test_a_program_forges_no_stamp_within_an_ordinary_line() -> None:
    messages = [b"2026-11-21T23:43:48.1Z one\r\n", b"2026-11-21T23:43:48.2Z a\r2026-11-21T23:43:48.3Z forged\r\n"]
    expected = b"".join(pack(">BxxxL", 1, len(message)) + message for message in messages)
    assert framed(b"".join(messages), 5, loses_newlines=True) == expected


def test_an_unfinished_message_waits_until_all_was_read() -> None:
    terminal = Terminal()
    assert terminal.feed(b"2026-11-21T23:43:48.1Z no newline") == b""
    assert terminal.flush() == pack(">BxxxL", 1, 33) + b"2026-11-21T23:43:48.1Z no newline"
    assert terminal.flush() == b""

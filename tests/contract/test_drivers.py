"""The contract of `workers/drivers/protocol.py`, on every driver: what runs, its output, its end.

Its life (start once, stop, remove, adopt) is in `test_driver_lifecycle.py`.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.conftest import SpecMaker
from tests.contract.following import follow, is_running, judged, read, run, text, until_over, until_said, verdict_of
from tests.contract.harness import Harness
from tests.stack import eventually
from workers.drivers.protocol import Driver, Metered, Mount, Phase, Refused, Usage

FLOOD = 20_000
ADDED_BY_RUNTIMES = ("PATH", "HOME", "HOSTNAME", "KUBERNETES_")


def test_hello(driver: Driver, spec: SpecMaker) -> None:
    out, err, seen = run(driver, spec("echo hello"))
    assert (out, err, seen.phase, seen.exit_code) == (b"hello\n", b"", Phase.EXITED, 0)
    assert driver.judge(seen) is None


def test_times_are_known_and_in_order(driver: Driver, spec: SpecMaker) -> None:
    _, _, seen = run(driver, spec("true"))
    assert seen.created_at
    assert seen.started_at
    assert seen.finished_at
    assert seen.created_at <= seen.finished_at
    # Docker writes down the start of a container that lasts a moment after its end.
    assert seen.started_at <= seen.finished_at + timedelta(seconds=1)


@pytest.mark.parametrize("code", [1, 3, 125, 255])
def test_the_exit_code_is_kept(driver: Driver, spec: SpecMaker, code: int) -> None:
    _, _, seen = run(driver, spec(f"exit {code}"))
    assert seen.exit_code == code
    assert judged(driver, seen).code == "exit_code"
    assert str(code) in judged(driver, seen).summary


def test_a_signal_is_named(driver: Driver, spec: SpecMaker) -> None:
    verdict = verdict_of(driver, spec("sh -c 'kill -SEGV $$'; exit 139"))
    assert verdict.code == "killed_by_signal"
    assert "SIGSEGV" in verdict.summary


def test_137_alone_is_not_taken_for_out_of_memory(driver: Driver, spec: SpecMaker) -> None:
    assert verdict_of(driver, spec("exit 137")).code == "killed_by_signal"


@pytest.mark.parametrize("command", ["no-such-command", "/no/such/command"])
def test_a_missing_command_is_named(driver: Driver, spec: SpecMaker, command: str) -> None:
    verdict = verdict_of(driver, spec((command,)))
    assert verdict.code == "command_not_found"
    assert command in " ".join(verdict.evidence)


@pytest.mark.parametrize("command", ["/etc", "/proc/version"])
def test_what_is_not_executable_is_named(driver: Driver, spec: SpecMaker, command: str) -> None:
    verdict = verdict_of(driver, spec((command,)))
    assert verdict.code == "command_not_executable"
    assert command in " ".join(verdict.evidence)


def test_an_unknown_user_is_named(driver: Driver, spec: SpecMaker) -> None:
    verdict = verdict_of(driver, spec("true", user="nobody-of-that-name"))
    assert verdict.code == "bad_user"
    assert "nobody-of-that-name" in " ".join(verdict.evidence)


def test_entrypoint_and_command_are_joined(driver: Driver, spec: SpecMaker) -> None:
    out, _, _ = run(driver, spec(("a b", "c"), entrypoint=("printf", "<%s>")))
    assert out == b"<a b><c>"


def test_arguments_arrive_exactly(driver: Driver, spec: SpecMaker) -> None:
    arguments = ("🦀", "a\nb", "'", '"', "$HOME", "\\", "", " ")
    out, _, _ = run(driver, spec(("printf", "<%s>", *arguments)))
    assert out.decode() == "".join(f"<{each}>" for each in arguments)


def test_the_environment_is_complete_and_exact(
    driver: Driver, spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "hush")
    env = {"EMOJI": "🦀", "LINES": "a\nb\n", "QUOTES": "'\"`$HOME\\", "EMPTY": "", "EQUALS": "a=b"}
    out, _, _ = run(driver, spec(("cat", "/proc/self/environ"), env=env))
    got = dict(each.split("=", 1) for each in out.decode().split("\0") if each)
    ours = {key: value for key, value in got.items() if not key.startswith(ADDED_BY_RUNTIMES)}
    assert ours == env


def test_the_working_dir_is_entered(driver: Driver, spec: SpecMaker) -> None:
    out, _, _ = run(driver, spec("pwd", working_dir="/tmp"))
    assert out == b"/tmp\n"


def test_a_missing_working_dir_is_made_in_a_container_and_never_on_the_host(
    driver: Driver, spec: SpecMaker, tmp_path: Path
) -> None:
    missing = tmp_path / "new" / "folder"
    if driver.name == "process":
        assert verdict_of(driver, spec("pwd", working_dir=str(missing))).code == "bad_working_dir"
    else:
        assert run(driver, spec("pwd", working_dir=str(missing)))[0].decode() == f"{missing}\n"
    assert not missing.exists()


def test_a_working_dir_that_is_a_file_is_named(driver: Driver, spec: SpecMaker) -> None:
    assert verdict_of(driver, spec("true", working_dir="/bin/sh")).code == "bad_working_dir"


def test_a_script_is_run_by_its_interpreter(driver: Driver, spec: SpecMaker) -> None:
    out, _, _ = run(driver, spec(script="#!/bin/cat\nthis is 🦀 itself\n"))
    assert out.decode() == "#!/bin/cat\nthis is 🦀 itself\n"


def test_a_script_without_interpreter_is_run_by_sh(driver: Driver, spec: SpecMaker) -> None:
    out, _, seen = run(driver, spec(("ignored",), entrypoint=("ignored",), script="A='x  y'\necho \"$A\"\nexit 4\n"))
    assert (out, seen.exit_code) == (b"x  y\n", 4)


def test_stdin_is_read_to_its_end(driver: Driver, spec: SpecMaker) -> None:
    out, _, _ = run(driver, spec(("cat",), stdin="héllo\n🦀 without newline"))
    assert out.decode() == "héllo\n🦀 without newline"


def test_without_stdin_there_is_nothing_to_read(driver: Driver, spec: SpecMaker) -> None:
    out, _, seen = run(driver, spec("cat; echo end"))
    assert (out, seen.exit_code) == (b"end\n", 0)


def test_stdout_and_stderr_are_told_apart_or_said_to_be_unknown(
    harness: Harness, driver: Driver, spec: SpecMaker
) -> None:
    lines = follow(driver, driver.start(spec("echo one; echo two >&2; echo three")))
    if harness.is_combined:
        assert {(line.stream, line.data) for line in lines} == {
            ("unknown", each) for each in (b"one\n", b"two\n", b"three\n")
        }
    else:
        assert (text(lines, "stdout"), text(lines, "stderr")) == (b"one\nthree\n", b"two\n")


def test_the_last_line_counts_without_newline(harness: Harness, driver: Driver, spec: SpecMaker) -> None:
    lines = follow(driver, driver.start(spec("printf 'a\\nb'; printf c >&2")))
    if harness.is_combined:  # what has no newline may be before or behind another stream's
        assert b"".join(line.data for line in lines) in (b"a\nbc", b"a\ncb", b"ca\nb")
    else:
        assert {(line.stream, line.data) for line in lines} == {("stdout", b"a\n"), ("stdout", b"b"), ("stderr", b"c")}


def test_bytes_are_exact(driver: Driver, spec: SpecMaker) -> None:
    out, _, _ = run(driver, spec("printf 'a\\000b\\377\\376\\r\\n\\033[1m\\n\\n'"))
    assert out == b"a\0b\xff\xfe\r\n\x1b[1m\n\n"


def test_a_line_of_200_kb_is_one_line(driver: Driver, spec: SpecMaker) -> None:
    lines = follow(driver, driver.start(spec("head -c 200000 /dev/zero | tr '\\000' x; echo; echo end")))
    assert [line.data for line in lines] == [b"x" * 200_000 + b"\n", b"end\n"]


def test_a_line_of_3_mb_comes_in_pieces(driver: Driver, spec: SpecMaker) -> None:
    lines = follow(driver, driver.start(spec("head -c 3000000 /dev/zero | tr '\\000' x; echo; echo end")))
    assert text(lines, "stdout") == b"x" * 3_000_000 + b"\nend\n"
    assert max(len(line.data) for line in lines) <= 1024**2
    assert [line.data[-1:] for line in lines].count(b"\n") == 2


def test_a_flood_is_exact(driver: Driver, spec: SpecMaker) -> None:
    lines = follow(driver, driver.start(spec(f"seq 1 {FLOOD}")))
    assert [line.data for line in lines] == [b"%d\n" % number for number in range(1, FLOOD + 1)]


def test_going_on_from_any_cursor_has_neither_gap_nor_duplicate(driver: Driver, spec: SpecMaker) -> None:
    """Half lines of both streams are under way at the same time."""
    halves = 'i=0; while [ $i -lt 400 ]; do printf "o$i"; echo "e$i" >&2; echo; i=$((i+1)); done; printf end'
    handle = driver.start(spec(halves))
    whole = follow(driver, handle)
    assert len(whole) == 801
    for k in [*range(0, 801, 89), 799, 800]:
        assert follow(driver, handle, after=whole[k].cursor) == whole[k + 1 :], f"after line {k}"


def test_going_on_while_it_runs_has_neither_gap_nor_duplicate(driver: Driver, spec: SpecMaker) -> None:
    """Every line by a reader of its own, as if the worker died after each."""
    handle = driver.start(spec("i=0; while [ $i -lt 12 ]; do echo $i; sleep 0.1; i=$((i+1)); done"))
    got: list[bytes] = []
    after = None
    while len(got) < 12:
        for line in read(driver, handle, after):
            got.append(line.data)
            after = line.cursor
            break
    assert got == [b"%d\n" % number for number in range(12)]


def test_a_line_is_seen_within_a_second(driver: Driver, spec: SpecMaker) -> None:
    handle = driver.start(spec("i=0; while [ $i -lt 300 ]; do echo $i; sleep 0.1; i=$((i+1)); done"))
    line = until_said(driver, handle, b"7")
    assert time.time_ns() - line.at_ns < 1_000_000_000
    assert is_running(driver, handle)


def test_silence_gives_the_caller_back_his_turn(driver: Driver, spec: SpecMaker) -> None:
    handle = driver.start(spec(("sleep", "60")))
    began = time.monotonic()
    assert list(read(driver, handle, None)) == []
    assert time.monotonic() - began < 20
    assert is_running(driver, handle)


def test_more_memory_than_given_is_out_of_memory(driver: Driver, spec: SpecMaker) -> None:
    seen = until_over(driver, driver.start(spec(("tail", "/dev/zero"), memory_bytes=48 * 1024**2)))
    assert judged(driver, seen).code == "oom_killed"
    assert seen.exit_code == 137


def test_usage_is_near_what_is_allocated(driver: Driver, spec: SpecMaker) -> None:
    assert isinstance(driver, Metered)
    handle = driver.start(spec("x=$(head -c 50000000 /dev/zero | tr '\\000' x); echo held; sleep 60 & wait"))
    until_said(driver, handle, b"held")

    def look() -> Usage | None:
        """Once there is some: a metrics server measures by whole seconds."""
        used = driver.usage(handle)
        return used if used and used.cpu_seconds > 0 else None

    used = eventually(look, 60)
    assert used
    assert 40_000_000 < used.memory_bytes <= used.memory_peak_bytes < 220_000_000


def test_there_is_no_usage_of_what_does_not_run(driver: Driver, spec: SpecMaker) -> None:
    assert isinstance(driver, Metered)
    handle = driver.start(spec("true"))
    until_over(driver, handle)
    assert driver.usage(handle) is None
    driver.remove(handle)
    assert driver.usage(handle) is None


def test_the_engine_says_who_and_how_big_it_is(driver: Driver, spec: SpecMaker) -> None:
    engine = driver.probe()
    assert (engine.runtime, bool(engine.version)) == (driver.name, True)
    assert engine.arch in {"amd64", "arm64", "arm", "386"}
    assert engine.cpus >= 1
    assert engine.memory_bytes > 64 * 1024**2
    assert driver.start(spec("true")).place.partition("/")[0] == engine.id == driver.probe().id


def test_a_folder_of_the_host_is_there_and_is_kept(driver: Driver, spec: SpecMaker, tmp_path: Path) -> None:
    if driver.name == "kubernetes":
        pytest.skip("a cluster has no folders of this host")
    (tmp_path / "given").write_text("from the host")
    mount = Mount(str(tmp_path), str(tmp_path), read_only=False)
    out, _, seen = run(driver, spec(f"cat {tmp_path}/given; echo kept > {tmp_path}/made", mounts=(mount,)))
    assert (out, seen.exit_code) == (b"from the host", 0)
    driver.remove(seen.handle)
    assert (tmp_path / "made").read_text() == "kept\n"


def test_a_folder_that_may_only_be_read_is_so_or_refused(driver: Driver, spec: SpecMaker, tmp_path: Path) -> None:
    mount = Mount(str(tmp_path), "/elsewhere", read_only=True)
    try:
        _, _, seen = run(driver, spec("touch /elsewhere/made", mounts=(mount,)))
    except Refused as refused:
        assert refused.verdict.code in {"invalid_spec", "policy_denied"}  # noqa: PT017 - either is fine
        assert refused.verdict.remedy  # noqa: PT017
    else:
        assert seen.exit_code == 1
    assert not list(tmp_path.iterdir())

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.spec import parse_spec
from workers.suites.example import Expectation, Seen, UnusableError, complaints, examples
from workers.suites.running import Room, scaled

FINE = Seen("succeeded", "", ["start", "loss=3.0", "loss=2.0", "done"], 2.0, 100 * 1024**2)
EXPECT = Expectation(lines=4, keys=["^start$", "^done$"], falling="loss=([0-9.]+)", memory_peak="96Mi")


def test_all_is_well_when_all_was_seen() -> None:
    assert complaints(EXPECT, FINE) == []


def test_a_masked_failure_is_seen_by_its_missing_line() -> None:
    masked = replace(FINE, output=["start", "loss=3.0", "loss=2.0", "sh: no such file"])
    assert complaints(EXPECT, masked) == ["no line matches '^done$' where it was due"]


def test_key_lines_must_come_in_order() -> None:
    assert "'^done$'" in complaints(EXPECT, replace(FINE, output=["done", "start", "loss=3.0", "loss=2.0"]))[0]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (replace(FINE, state="failed", why="exit_code: 1"), "is failed: exit_code: 1"),
        (replace(FINE, output=[*FINE.output, "more"]), "5 lines of output instead of 4"),
        (replace(FINE, seconds=16.0), "took 16.0 s instead of 0 to 15 s"),
        (replace(FINE, output=["start", "loss=2.0", "loss=3.0", "done"]), "the values do not fall: [2.0, 3.0]"),
        (replace(FINE, peak_bytes=None), "peak memory was –, it had to be near 96.0 MiB"),
        (replace(FINE, peak_bytes=10 * 1024**2), "peak memory was 10.0 MiB, it had to be near 96.0 MiB"),
    ],
)
def test_each_thing_amiss_is_said(seen: Seen, said: str) -> None:
    assert complaints(EXPECT, seen) == [said]


def test_json_must_be_what_was_due_and_not_only_valid() -> None:
    expect = Expectation(lines=1, keys=[], json={"doubles": [2, 4]})
    assert complaints(expect, replace(FINE, output=['{"doubles": [2, 4]}'])) == []
    for wrong in ('{"doubles": [2, 5]}', '{"doubles": [2, 4]'):
        assert complaints(expect, replace(FINE, output=[wrong])) == ["the output is not the JSON that was due"]


@pytest.mark.parametrize("runtime", ["docker", "process"])
def test_the_built_in_suite_has_six_valid_examples_of_1_7_3_12_5_4_lines(runtime: str) -> None:
    found = examples(runtime)
    assert [example.name for example in found] == ["hello", "ml", "memory", "cpu", "build", "data"]
    assert [example.expect.lines for example in found] == [1, 7, 3, 12, 5, 4]
    for example in found:
        parse_spec({"image": "towline/demo:1", **example.spec})


def test_the_suite_of_a_cluster_has_seven_and_they_are_its_own() -> None:
    found = examples("kubernetes")
    assert [example.name for example in found] == ["hello", "cpu", "memory", "data", "build", "ml", "gpu"]
    assert [example.expect.lines for example in found] == [1, 22, 4, 2, 7, 7, 1]
    for example in found:
        parse_spec({"image": "busybox:1.36", "runtime": "kubernetes", **example.spec})


def test_an_example_may_wait_only_for_what_it_names() -> None:
    expect = Expectation(lines=1, keys=[], waits="^unschedulable: .*gpu")
    assert expect.may_wait_for("unschedulable", "GPU is short on 1 of 1 nodes")
    assert not expect.may_wait_for("unschedulable", "cpu is short on 1 of 1 nodes")
    assert not expect.may_wait_for("capacity", "gpu")
    assert not EXPECT.may_wait_for("unschedulable", "gpu")


@pytest.mark.parametrize(("line", "fine"), [("peak 97 MiB", True), ("peak 0 MiB", True), ("peak 30 MiB", False)])
def test_a_job_may_tell_its_own_peak(line: str, *, fine: bool) -> None:
    expect = replace(EXPECT, lines=5, peak_line=r"^peak (\d+) MiB$")
    seen = replace(FINE, output=[*FINE.output[:-1], line, "done"], peak_bytes=1)
    assert (complaints(expect, seen) == []) is fine


def test_an_unknown_example_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnusableError, match=r"no example nope for docker: choose from hello, ml"):
        examples("docker", only=["nope"])


def test_a_file_that_is_no_example_is_named(tmp_path: Path) -> None:
    (tmp_path / "1-bad.toml").write_text('about = "nothing else"')
    with pytest.raises(UnusableError, match=r"1-bad\.toml"):
        examples("docker", tmp_path)


def test_requests_larger_than_the_worker_are_scaled_and_said() -> None:
    room = Room(cpus=2, memory_bytes=2 * 1024**3)
    cut, said = scaled({"cpus": 4, "memory": "4Gi"}, room)
    assert cut == {"cpus": 2, "memory": 2 * 1024**3}
    assert said == "cpus 4 → 2, memory 4Gi → 2.0 GiB"
    assert scaled({"cpus": 1, "memory": "1Gi"}, room) == ({"cpus": 1, "memory": "1Gi"}, "")

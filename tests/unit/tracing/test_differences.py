"""What failing runs have in common."""

from __future__ import annotations

import random

import pytest

from tracing.questions.differences import differences, too_few

Run = dict[str, str]


def runs(count: int, seed: int, **always: str) -> list[Run]:
    chance = random.Random(seed)
    return [
        {
            "node": f"node-{chance.randrange(5)}",
            "worker": f"run@{chance.randrange(20)}",
            "digest": f"sha256:{chance.randrange(3)}",
            "region": chance.choice(("eu", "us")),
            "hour": f"{chance.randrange(24):02}",
            **always,
        }
        for _ in range(count)
    ]


def test_the_node_that_all_failures_share_is_found_and_nothing_else() -> None:
    found = differences(runs(12, 1, node="node-3"), runs(60, 2))
    assert [(each.attribute, each.value) for each in found] == [("node", "node-3")]
    assert found[0].failing_share == 1
    assert found[0].passing_share < 0.4
    assert found[0].chance < 0.001
    assert found[0].failure_rate == 12 / (12 + found[0].passing)


def test_the_most_telling_comes_first() -> None:
    failing = runs(20, 3, digest="sha256:new")
    for number, run in enumerate(failing):
        run["region"] = "eu" if number else "us"
    found = differences(failing, runs(60, 4))
    assert [(each.attribute, each.value) for each in found] == [("digest", "sha256:new"), ("region", "eu")]


def test_a_healthy_mixture_gives_nothing() -> None:
    found = [differences(runs(20, 2 * seed), runs(80, 2 * seed + 1)) for seed in range(200)]
    assert sum(map(bool, found)) <= 4


def test_a_thousand_nodes_are_a_thousand_chances_to_be_wrong() -> None:
    nodes = random.Random(5)
    failing = [{"node": f"{nodes.randrange(1000)}"} for _ in range(50)]
    assert differences(failing, [{"node": f"{nodes.randrange(1000)}"} for _ in range(5000)]) == []


@pytest.mark.parametrize(("failing", "passing"), [(0, 0), (5, 0), (2, 900), (4, 4), (900, 2)])
def test_of_too_few_runs_nothing_is_said_but_that(failing: int, passing: int) -> None:
    broken, fine = runs(failing, 1, node="bad"), runs(passing, 2, node="good")
    assert differences(broken, fine) == []
    assert f"{failing} failing and {passing} passing runs are too few" in too_few(broken, fine)


def test_five_of_each_are_enough_for_what_divides_them() -> None:
    failing, passing = [{"region": "eu"}] * 5, [{"region": "us"}] * 5
    assert too_few(failing, passing) == ""
    (found,) = differences(failing, passing)
    assert (found.value, found.failing, found.passing, found.chance) == ("eu", 5, 0, pytest.approx(1 / 252))


def test_a_run_may_lack_an_attribute() -> None:
    failing: list[Run] = [{"node": "a", "digest": ""}] * 8
    assert [each.attribute for each in differences(failing, [{}] * 20)] == ["node"]


def test_ten_thousand_runs_are_quick_to_tell_apart() -> None:
    found = differences(runs(10_000, 6), [*runs(10_000, 7), *runs(3000, 8, node="node-9")])
    assert all(each.failing_share > each.passing_share for each in found)

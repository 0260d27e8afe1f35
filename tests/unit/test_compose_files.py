"""What stands in docker/ fits together. Whether it works is seen in tests/image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).resolve().parents[2] / "docker"


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / name).read_text(encoding="utf-8")))


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(DOCKER.glob("compose*.yaml")):
        yield from read(path.name)["services"].items()


def test_the_example_of_the_environment_has_every_variable_and_no_other() -> None:
    files = "".join(path.read_text(encoding="utf-8") for path in DOCKER.glob("compose*.yaml"))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", files))
    told = set(re.findall(r"^([A-Z_]+)=", (DOCKER / "env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert told - {"COMPOSE_PROJECT_NAME"} == used


def test_what_must_be_set_has_no_value_in_the_example_and_the_rest_has_the_one_that_it_has_without() -> None:
    files = "".join(path.read_text(encoding="utf-8") for path in DOCKER.glob("compose*.yaml"))
    told = dict(re.findall(r"^([A-Z_]+)=(.*)$", (DOCKER / "env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for name in re.findall(r"\$\{([A-Z_]+):\?", files) if told[name]} == set()
    assert {name: value for name, value in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", files) if told[name] != value} == {}


def test_all_but_the_migration_are_started_again_and_nothing_listens_on_the_open_network() -> None:
    for name, service in services():
        if "image" not in service:
            continue
        assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped"), name
        assert all(str(port).startswith("${TOWLINE_BIND:-127.0.0.1}:") for port in service.get("ports", [])), name


def test_the_socket_is_mounted_into_one_service_alone() -> None:
    plain = {
        name for name, each in read("compose.yaml")["services"].items() if "docker.sock" in str(each.get("volumes"))
    }
    assert plain == {"run"}
    proxied = read("compose.socket-proxy.yaml")["services"]
    assert proxied["run"]["volumes"] == ["/dev/null:/var/run/docker.sock:ro"]
    assert proxied["socket-proxy"]["networks"] == ["engine"]


def test_the_pipelines_of_the_collector_are_made_of_what_it_has() -> None:
    collector = read("collector.yaml")
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= set(collector[kind])


def test_web_answers_to_the_name_that_prometheus_calls_it_by() -> None:
    (web,) = [each for each in read("prometheus.yaml")["scrape_configs"] if each["job_name"] == "web"]
    (name, _, _) = web["static_configs"][0]["targets"][0].partition(":")
    assert name in read("compose.yaml")["x-towline"]["environment"]["TOWLINE_ALLOWED_HOSTS"].split(",")


def test_prometheus_asks_where_somebody_answers_and_its_alerts_know_what_is_measured() -> None:
    asked = {
        each["job_name"]: each["static_configs"][0]["targets"] for each in read("prometheus.yaml")["scrape_configs"]
    }
    port = read("collector.yaml")["exporters"]["prometheus"]["endpoint"].rpartition(":")[2]
    assert asked == {"web": ["web:8000"], "collector": [f"collector:{port}"], "flower": ["flower:5555"]}
    known = {"httpcheck", "redis", "postgresql"} & set(read("collector.yaml")["receivers"]) | {
        "flower",
        "up",
        "towline",
    }
    for rule in read("alerts.yaml")["groups"][0]["rules"]:
        names = set(re.findall(r"\b([a-z]+_[a-z_]+)\b(?! *[(\"=])", re.sub('"[^"]*"', "", rule["expr"]))) - {
            "max_over_time",
            "http_status_code",
        }
        assert {name.partition("_")[0] for name in names} <= known, rule["alert"]
        assert {"summary", "remedy"} == set(rule["annotations"]), rule["alert"]

"""Which folders of the host a job may have, and what a worker makes of them right before the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.volumes import Allowed, Volume, objection
from workers.drivers.protocol import Mount, Refused
from workers.volumes import mounts_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "data2").mkdir()
    return tmp_path / "data"


def volume(source: Path, *, read_only: bool = True) -> Volume:
    return Volume(source=str(source), target="/data", read_only=read_only)


def refused(source: Path, *allowed: Allowed) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        mounts_of([volume(source)], allowed)
    return caught.value.verdict.code, caught.value.verdict.remedy


def test_what_lies_in_an_allowed_folder_is_allowed(data: Path) -> None:
    allowed = [Allowed.parse(str(data))]
    assert objection(volume(data), allowed) is None
    assert objection(volume(data / "in", read_only=False), allowed) is None


@pytest.mark.parametrize("source", ["data2", "", "data/../data2", "data/out"])
def test_nothing_else_is(data: Path, source: str) -> None:
    (data / "out").symlink_to(data.parent / "data2")
    why = objection(Volume.model_construct(source=str(data.parent / source)), [Allowed.parse(str(data))])
    assert why and "TOWLINE_VOLUMES" in why


def test_nothing_is_allowed_by_itself(data: Path) -> None:
    assert objection(volume(data), []) is not None


def test_an_allowed_folder_may_itself_be_a_link(data: Path) -> None:
    link = data.parent / "link"
    link.symlink_to(data)
    assert objection(volume(link / "in"), [Allowed.parse(str(link))]) is None


def test_where_only_reading_is_allowed_writing_is_not(data: Path) -> None:
    allowed = [Allowed.parse(f"{data}:ro")]
    assert objection(volume(data), allowed) is None
    assert "read_only" in (objection(volume(data, read_only=False), allowed) or "")
    assert objection(volume(data / "in", read_only=False), [*allowed, Allowed.parse(str(data / "in"))]) is None


def test_the_mount_is_the_real_path(data: Path) -> None:
    (data / "link").symlink_to(data / "in")
    assert mounts_of([volume(data / "link")], [Allowed.parse(str(data))]) == (Mount(str(data / "in"), "/data", True),)


def test_a_link_that_leads_out_since_is_denied_by_the_worker(data: Path) -> None:
    allowed = Allowed.parse(str(data))
    assert objection(volume(data / "later"), [allowed]) is None
    (data / "later").symlink_to("/etc")
    code, remedy = refused(data / "later", allowed)
    assert (code, bool(remedy)) == ("policy_denied", True)


def test_a_missing_source_is_the_specs_fault(data: Path) -> None:
    code, remedy = refused(data / "missing", Allowed.parse(str(data)))
    assert (code, bool(remedy)) == ("invalid_spec", True)

"""Migrations go up and down, and leave a database that is as the models say."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection

from jobs.logs.packing import pack_for
from jobs.logs.reader import read_lines
from jobs.logs.store import sealing
from jobs.models import Attempt, Installation, Job, Project

from .conftest import make_attempt
from .test_logs import numbered, write

OURS = ("workers", "jobs")


def tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith(("jobs_", "workers_"))}


@pytest.mark.django_db(transaction=True)
def test_all_the_way_down_and_up_again() -> None:
    before = tables()
    assert before
    for app in OURS:
        call_command("migrate", app, "zero", verbosity=0)
    assert tables() == set()
    call_command("migrate", verbosity=0)
    assert tables() == before
    assert Project.objects.filter(name="default").exists()
    assert Installation.objects.get().key.startswith("tl")


@pytest.mark.django_db(transaction=True)
def test_every_table_of_ours_says_when_rows_were_made_and_changed() -> None:
    with connection.cursor() as cursor:
        for table in tables() - {"jobs_project_members"}:
            columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
            assert {"created_at", "updated_at"} <= columns, table


@pytest.mark.django_db(transaction=True)
def test_who_does_not_know_the_columns_of_late_writes_jobs_and_attempts_still() -> None:
    """A process of before, while one after the other is made anew."""
    made, other = make_attempt(), uuid4()
    late = {"lives", "traceparent", "region", "log_delays"}
    for row, fresh in ((made.job, {"id": other}), (made, {"id": made.pk + 1, "job_id": other})):
        fields = [field for field in row._meta.concrete_fields if field.column not in late]
        found = row._meta.model._base_manager.filter(pk=row.pk).values_list(*(field.attname for field in fields)).get()
        values = [fresh.get(field.column, value) for field, value in zip(fields, found, strict=True)]
        prepared = [field.get_db_prep_save(value, connection) for field, value in zip(fields, values, strict=True)]
        names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
        marks = ", ".join(["%s"] * len(fields))
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {row._meta.db_table} ({names}) VALUES ({marks})", prepared)
    written = Job.objects.get(pk=other)
    assert (written.lives, written.traceparent, written.attempts.get().region) == (0, "", "")


@pytest.mark.django_db(transaction=True)
def test_stored_output_is_compressed_on_the_way_up_and_as_it_was_on_the_way_down() -> None:
    attempt = make_attempt()
    write(attempt, numbered(3), numbered(2, "stderr"))
    before = [(line.data, line.stream, line.at_ns) for line in read_lines(attempt.pk)]
    chunks = "SELECT data FROM jobs_logchunk ORDER BY first_line"
    try:
        call_command("migrate", "jobs", "0004", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(chunks)
            assert bytes(cursor.fetchone()[0]) == b"line 1\nline 2\nline 3\n"
    finally:
        call_command("migrate", verbosity=0)
    assert [(line.data, line.stream, line.at_ns) for line in read_lines(attempt.pk)] == before


@pytest.mark.django_db(transaction=True)
def test_packed_logs_are_not_left_behind() -> None:
    attempt = make_attempt()
    write(attempt, numbered(3))
    Attempt.objects.filter(pk=attempt.pk).update(**sealing(attempt)[1])
    pack_for(5, 0)
    try:
        with pytest.raises(SystemExit, match="pack --undo"):
            call_command("migrate", "jobs", "0004", verbosity=0)
    finally:
        call_command("migrate", verbosity=0)
    assert len(list(read_lines(attempt.pk))) == 3

"""Migrations go up and down, and leave a database that is as the models say."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

from jobs.models import Installation, Project

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

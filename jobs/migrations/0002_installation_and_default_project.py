"""The row that says which Towline this is, and the project that is there from the start."""

import secrets

from django.db import migrations


def make(apps, schema_editor):
    apps.get_model("jobs", "Installation").objects.create(id=1, key="tl" + secrets.token_hex(4))
    apps.get_model("jobs", "Project").objects.get_or_create(name="default")


def unmake(apps, schema_editor):
    apps.get_model("jobs", "Installation").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]
    operations = [migrations.RunPython(make, unmake)]

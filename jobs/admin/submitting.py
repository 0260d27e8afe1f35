"""The form to submit a job by hand. It makes the body of `POST /api/v1/jobs/`; `jobs.spec` alone says what is right."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from django import forms
from django.contrib.admin import helpers
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from pydantic import ValidationError as SpecError

from jobs.models import Job, Project
from jobs.services import QueueFull, Rejected, submit
from jobs.spec import RUNTIMES, JobSpec, field_errors, parse_spec

# Fields of the body by the form's own names, where they differ.
PATHS = {
    "cpus": "resources.cpus",
    "memory": "resources.memory",
    "gpus": "resources.gpus",
    "run_seconds": "timeouts.run",
    "start_seconds": "timeouts.start",
    "max_attempts": "retry.max_attempts",
}
PLAIN = (
    "name",
    "project",
    "image",
    "runtime",
    "priority",
    "working_dir",
    "user",
    "arch",
    "region",
    "network",
    "read_only",
)
FIELDSETS = [
    (None, {"fields": ["image", "command", "script", "name", "project"]}),
    (
        "Resources and limits",
        {"fields": [("cpus", "memory", "gpus"), ("run_seconds", "start_seconds", "max_attempts")]},
    ),
    ("Environment", {"fields": ["env", "working_dir", "user"]}),
    ("Where it runs", {"fields": ["runtime", "arch", "region", "requires", "priority"]}),
    ("More", {"fields": ["labels", "network", "read_only", "more"]}),
]


class Lines(forms.Textarea):
    def __init__(self, rows: int, **attrs: Any) -> None:
        super().__init__({"rows": rows, "class": "vLargeTextField code", "spellcheck": "false", **attrs})


class SubmitForm(forms.Form):
    image = forms.CharField(
        max_length=512, help_text="For example busybox:1.36, or registry.example:5000/team/tool@sha256:…"
    )
    command = forms.CharField(
        required=False,
        strip=False,
        widget=Lines(2),
        help_text="As in a shell, without its tricks: words and quotes. Or a JSON list. Empty: the image's own.",
    )
    script = forms.CharField(
        required=False,
        strip=False,
        widget=Lines(5),
        help_text="Instead of a command: run as a file.",
    )
    name = forms.CharField(required=False, max_length=200)
    project = forms.ChoiceField()
    cpus = forms.FloatField(label="CPUs", min_value=0.01, initial=1)
    memory = forms.CharField(initial="512Mi", help_text="Bytes, or 512Mi, 2Gi …")
    gpus = forms.IntegerField(label="GPUs", min_value=0, initial=0)
    run_seconds = forms.FloatField(
        label="Run time-out", required=False, initial=3600, help_text="Seconds. Empty: it may run for ever."
    )
    start_seconds = forms.FloatField(
        label="Start time-out", required=False, initial=600, help_text="Seconds, with the image's pull. Empty: none."
    )
    max_attempts = forms.IntegerField(min_value=1, initial=1, help_text="Tried again when the platform was at fault.")
    env = forms.CharField(
        label="Variables",
        required=False,
        strip=False,
        widget=Lines(4),
        help_text="NAME=value, one a line. Or a JSON object.",
    )
    working_dir = forms.CharField(label="Working directory", required=False)
    user = forms.CharField(required=False, help_text="Name or number, with :group. Empty: the image's own.")
    runtime = forms.ChoiceField(required=False, choices=[("", "any"), *((name, name) for name in RUNTIMES)])
    arch = forms.CharField(label="Architecture", required=False, help_text="amd64, arm64 … Empty: any.")
    region = forms.CharField(required=False, help_text="Empty: any.")
    requires = forms.CharField(
        required=False, widget=Lines(2), help_text="Labels that the worker must have: key=value, one a line."
    )
    priority = forms.IntegerField(initial=0, help_text="−1000 to 1000; higher goes first.")
    labels = forms.CharField(required=False, widget=Lines(2), help_text="Your own: key=value, one a line.")
    network = forms.CharField(initial="bridge", help_text="bridge, none, or a named network.")
    read_only = forms.BooleanField(required=False, label="Read-only root file system")
    more = forms.CharField(
        label="Anything else",
        required=False,
        widget=Lines(4),
        help_text='A JSON object of further fields as in the API, for example {"resources": {"shm": "1Gi"}}.',
    )

    def __init__(self, owner: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        names = list(Project.objects.order_by("name").values_list("name", flat=True))
        self.fields["project"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        if "default" in names:
            self.fields["project"].initial = "default"
        self.spec: JobSpec | None = None

    def clean_command(self) -> list[str] | None:
        text: str = self.cleaned_data["command"].strip()
        if not text:
            return None
        try:
            words = json.loads(text) if text.startswith("[") else shlex.split(text)
        except ValueError as error:
            raise ValidationError(f"can't be read: {error}. Close every quote, or write a JSON list.") from error
        return words  # whatever JSON it is, the spec says what is wrong with it

    def clean_env(self) -> Any:
        return _pairs(self.cleaned_data["env"])

    def clean_labels(self) -> Any:
        return _pairs(self.cleaned_data["labels"])

    def clean_requires(self) -> Any:
        return _pairs(self.cleaned_data["requires"])

    def clean_script(self) -> str | None:
        text: str = self.cleaned_data["script"]
        # A browser sends CRLF, with which no `#!` line works.
        return text.replace("\r\n", "\n") if text.strip() else None

    def clean_more(self) -> dict[str, Any]:
        try:
            value = json.loads(self.cleaned_data["more"] or "{}")
        except ValueError as error:
            raise ValidationError(f"is not JSON: {error}.") from error
        if not isinstance(value, dict):
            raise ValidationError("must be a JSON object: {…}.")
        return value

    def clean(self) -> None:
        if self.errors:
            return
        try:
            self.spec = parse_spec(self.body())
        except SpecError as error:
            self.complain(field_errors(error))

    def body(self) -> dict[str, Any]:
        """What a client would send: only what was filled in, and over it what "anything else" says."""
        data = self.cleaned_data
        body: dict[str, Any] = {field: data[field] for field in PLAIN if data[field] not in ("", None)}
        body |= {field: data[field] for field in ("command", "script", "env", "labels", "requires") if data[field]}
        for field, path in PATHS.items():
            group, key = path.split(".")
            body.setdefault(group, {})[key] = data[field]
        for field, value in data["more"].items():
            nested = isinstance(value, dict) and isinstance(body.get(field), dict)
            body[field] = {**body[field], **value} if nested else value
        return body

    def complain(self, errors: dict[str, list[str]]) -> None:
        """Each message at its field; what has none here came by "anything else"."""
        for name, messages in errors.items():
            field, named = self._field_of(name)
            for message in messages:
                self.add_error(field, message if named else f"{name}: {message}")

    def _field_of(self, name: str) -> tuple[str, bool]:
        """The form's field for one of the body, and whether its label says enough."""
        fields = {path: field for field, path in PATHS.items()}
        if name in fields:
            return fields[name], True
        top = name.split(".")[0]
        if top in self.fields and top not in self.cleaned_data.get("more", {}):
            return top, top == name
        return "more", False

    def submit(self) -> Job | None:
        """The stored job; None when it was refused, and the form says why."""
        assert self.spec is not None  # noqa: S101 - only a valid form is submitted
        try:
            return submit(self.spec, self.owner)[0]
        except Rejected as refused:
            self.complain(refused.errors)
        except QueueFull:
            self.add_error(None, "Too many jobs are waiting: try again later.")
        return None


def fieldsets(form: SubmitForm) -> helpers.AdminForm:
    """The form in the admin's own looks."""
    return helpers.AdminForm(form, FIELDSETS, {})  # type: ignore[arg-type]  # any form does, not only a model's


def _pairs(text: str) -> Any:
    """`NAME=value` lines, or a JSON object, as a dict."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValidationError(f"is not JSON: {error}.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if "=" not in line]
    if wrong:
        raise ValidationError(f"{wrong[0][:60]!r} has no “=”: write NAME=value, one a line.")
    return dict(_pair(line) for line in lines)


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value


def filled_in(spec: dict[str, Any]) -> dict[str, Any]:
    """The form's values for a job like that one: `submit again`."""
    known = {field: spec.get(field) for field in PLAIN}
    known |= {field: _at(spec, path) for field, path in PATHS.items()}
    known |= {field: _as_text(spec.get(field) or {}) for field in ("env", "labels", "requires")}
    command, script = spec.get("command"), spec.get("script")
    known |= {"command": shlex.join(command) if command else "", "script": script or ""}
    return {**known, "more": _rest(spec)}


def _at(spec: dict[str, Any], path: str) -> Any:
    group, key = path.split(".")
    return (spec.get(group) or {}).get(key)


def _as_text(pairs: dict[str, str]) -> str:
    plain = all(not re.search(r"[\r\n]", value) for value in pairs.values())
    return "\n".join(f"{key}={value}" for key, value in pairs.items()) if plain else json.dumps(pairs, indent=1)


def _rest(spec: dict[str, Any]) -> str:
    """What the form has no field for and is not as by default, as JSON."""
    default = JobSpec(image="x:1").model_dump(mode="json")
    have = {*PLAIN, "command", "script", "env", "labels", "requires"}
    rest: dict[str, Any] = {}
    for field, value in spec.items():
        if field in have or value == default.get(field):
            continue
        if isinstance(value, dict) and isinstance(default.get(field), dict):
            shown = {
                k: v for k, v in value.items() if v != default[field].get(k) and f"{field}.{k}" not in PATHS.values()
            }
            rest |= {field: shown} if shown else {}
        else:
            rest[field] = value
    return json.dumps(rest, indent=1) if rest else ""

"""What the engine refuses to create. Pure."""

from __future__ import annotations

import re

from jobs.verdicts import Verdict
from workers.drivers.docker.judge import SUMMARIES, reason_of
from workers.drivers.protocol import ContainerSpec

NO_GPU = Verdict(
    "unschedulable",
    "This engine has no GPUs to give.",
    ("no nvidia runtime in the engine's info",),
    "Run it where an engine has the NVIDIA container toolkit, or ask for none.",
)


def refusal(status: int, text: str, spec: ContainerSpec) -> Verdict | None:
    """The verdict on a create that failed with this HTTP status and text; None when trying again may help."""
    if re.search(r"does not match the specified platform", text):
        return _wrong_platform(text, spec)
    if status == 404:
        return Verdict(
            "image_not_found", f"The image {spec.image} is not on the engine.", (text,), "Pull it, or correct its name."
        )
    if re.search(r"range of cpus", text, re.IGNORECASE):
        return Verdict("unschedulable", "The engine has fewer CPUs than asked for.", (text,), "Ask for fewer `cpus`.")
    if status == 400:
        return _invalid(text, spec)
    known = reason_of(text)
    return None if known is None else Verdict(known[0], _summary(known[0], spec), (text,), known[1])


def _summary(code: str, spec: ContainerSpec) -> str:
    command = (spec.entrypoint or spec.command or ("?",))[0]
    return SUMMARIES[code].format(command=command, user=spec.user or "root", working_dir=spec.working_dir or "/")


def _wrong_platform(text: str, spec: ContainerSpec) -> Verdict:
    summary = f"The image {spec.image} on the engine is not for {spec.arch}."
    return Verdict("image_wrong_platform", summary, (text,), "Use an image that has this platform.")


def _invalid(text: str, spec: ContainerSpec) -> Verdict:
    code, remedy = reason_of(text) or ("invalid_spec", "Correct the job's spec.")
    return Verdict(code, _summary(code, spec), (text,), remedy)

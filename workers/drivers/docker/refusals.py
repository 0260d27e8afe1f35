"""What the engine refuses to create. Pure."""

from __future__ import annotations

import re

from jobs.verdicts import Verdict
from workers.drivers.docker.judge import reason_of
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
        return _invalid(text)
    known = reason_of(text)
    if known is None:
        return None
    code, remedy = known
    return Verdict(code, "The engine cannot create the container as it was asked for.", (text,), remedy)


def _wrong_platform(text: str, spec: ContainerSpec) -> Verdict:
    summary = f"The image {spec.image} on the engine is not for {spec.arch}."
    return Verdict("image_wrong_platform", summary, (text,), "Use an image that has this platform.")


def _invalid(text: str) -> Verdict:
    if "working directory" in text:
        return Verdict("bad_working_dir", "The working directory cannot be used.", (text,), "Use an absolute path.")
    return Verdict("invalid_spec", "The engine does not accept the container as it was asked for.", (text,), "")

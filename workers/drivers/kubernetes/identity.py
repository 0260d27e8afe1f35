"""As whom a pod's program runs: the security contexts of a restricted namespace. Pure.

Kubernetes takes numeric ids only: a name would have to be looked up in the image, which nobody has there before it runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.protocol import ContainerSpec, Refused

IMAGE = "image"  # of `Options.run_as`: whoever the image says
FILES_GROUP = 65532  # of the files mounted for a program whose ids are the image's
ROOT = frozenset({"root", "0"})
_ID = re.compile(r"\d{1,10}")
HIGHEST_ID = 2**31 - 1  # the API takes no higher ones


@dataclass(frozen=True)
class Identity:
    """`uid` None: the image's own. `files_group` may read what is mounted for the program, as one more group of it."""

    uid: int | None
    gid: int | None
    files_group: int

    def pod_context(self) -> dict[str, Any]:
        ids = {} if self.uid is None else {"runAsUser": self.uid, "runAsGroup": self.gid}
        return {
            "runAsNonRoot": self.uid != 0,
            **ids,
            "fsGroup": self.files_group,
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def identity_of(spec: ContainerSpec, run_as: int | str) -> Identity:
    """Raises `Refused` for a user by name. A user without a group gets the group of the same number."""
    if spec.user is None:
        return Identity(None, None, FILES_GROUP) if run_as == IMAGE else _numbered(spec, str(run_as), "")
    user, _, group = spec.user.partition(":")
    return _numbered(spec, user, group)


def container_context(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": spec.read_only,
    }


def _numbered(spec: ContainerSpec, user: str, group: str) -> Identity:
    uid = _id(spec, user)
    gid = _id(spec, group) if group else uid
    return Identity(uid, gid, gid)


def _id(spec: ContainerSpec, word: str) -> int:
    if word in ROOT:
        return 0
    if not _ID.fullmatch(word) or int(word) > HIGHEST_ID:
        raise Refused(_no_number(spec.user or word))
    return int(word)


def _no_number(user: str) -> Verdict:
    return Verdict(
        "bad_user",
        f"A cluster can't run it as {user}: it takes numeric ids only.",
        (f"user: {user}",),
        "Give `user` as a numeric id such as 1000 or 1000:1000, or leave it out.",
    )

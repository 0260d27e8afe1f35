"""The API server's verbs on the store: everything that is not a watch or a log. No sockets here, see `serving`."""

from __future__ import annotations

import base64
import copy
import uuid
from typing import Any

from . import admission, deletion, patching
from .faults import Switchboard
from .problems import Problem, invalid, not_found
from .resources import Asked
from .selectors import selector
from .store import Object, Store

USER = "system:serviceaccount:towline:worker"
VERSION = {
    "major": "1", "minor": "36", "gitVersion": "v1.36.0+emulated", "gitCommit": "0" * 40, "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
}  # fmt: skip


class Api:
    def __init__(self, store: Store, faults: Switchboard) -> None:
        self.store, self.faults = store, faults

    def allow(self, asked: Asked) -> None:
        """Raises `Problem` where the role lacks the rule."""
        if asked.resource == "selfsubjectaccessreviews":
            return
        if self.faults.denies(asked.verb, asked.resource, asked.subresource, asked.namespace):
            full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
            group = asked.api_version.rpartition("/")[0]
            where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
            why = f'User "{USER}" cannot {asked.verb} resource "{full}" in API group "{group}" {where}'
            details = {"name": asked.name, "kind": asked.resource}
            said = f'"{asked.name}" ' if asked.name else ""
            raise Problem(403, f"{asked.resource} {said}is forbidden: {why}", details=details)

    def answer(self, asked: Asked, query: dict[str, str], body: Any, media: str) -> tuple[int, Object]:
        if asked.resource == "selfsubjectaccessreviews":
            return 201, self._review(body)
        if asked.verb == "list":
            return 200, self.listed(asked, query)
        if asked.verb == "get":
            return 200, self._dressed(asked, self.store.read(asked.resource, asked.namespace, asked.name))
        if asked.verb == "create":
            return 201, self._dressed(asked, self._create(asked, body or {}))
        if asked.verb == "patch":
            return 200, self._dressed(asked, self._patch(asked, media, body))
        if asked.verb == "update":
            return 200, self._dressed(asked, self._replace(asked, body))
        if asked.verb == "delete":
            return 200, self._delete(asked, query, body)
        return 200, self._delete_all(asked, query, body)

    def listed(self, asked: Asked, query: dict[str, str]) -> Object:
        test = selector(query.get("labelSelector", ""), query.get("fieldSelector", ""))
        among = self.store.list(asked.resource, asked.namespace or None)
        found = sorted((each for each in among if test(each)), key=lambda each: self._key(each))
        metadata: Object = {"resourceVersion": str(self.store.version)}
        limit, after = int(query.get("limit") or 0), query.get("continue", "")
        found = [each for each in found if self._key(each) > after]
        if limit and len(found) > limit:
            metadata.update({"continue": self._key(found[limit - 1]), "remainingItemCount": len(found) - limit})
            found = found[:limit]
        return {"kind": f"{asked.kind}List", "apiVersion": asked.api_version, "metadata": metadata, "items": found}

    @staticmethod
    def _key(obj: Object) -> str:
        return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"

    @staticmethod
    def _dressed(asked: Asked, obj: Object) -> Object:
        return {"kind": asked.kind, "apiVersion": asked.api_version, **obj}

    def _create(self, asked: Asked, given: Object) -> Object:
        if asked.subresource == "eviction":
            return self._evict(asked)
        if asked.subresource:
            raise not_found(asked.resource, asked.name)
        given = {
            **given,
            "kind": asked.kind,
            "apiVersion": asked.api_version,
            "metadata": dict(given.get("metadata") or {}),
        }
        admission.check_name(asked.kind, given)
        name = given["metadata"].get("name", "")
        inside = given["metadata"].get("namespace")
        if inside and inside != asked.namespace:
            said = "the namespace of the provided object does not match the namespace sent on the request"
            raise Problem(400, said)
        if asked.namespace:
            admission.check_namespace(self.store, asked.namespace, asked.resource, name)
        known = name and self.store.find(asked.resource, asked.namespace, name)  # `create` says so
        admitted = given if known else self._admit(asked, given)
        return self.store.create(asked.resource, asked.namespace, admitted)

    def _admit(self, asked: Asked, given: Object) -> Object:
        if asked.resource == "pods":
            return admission.admit_pod(self.store, asked.namespace, given)
        if asked.resource == "namespaces":
            return {"status": {"phase": "Active"}, **given}
        return _plain_secret(given) if asked.resource == "secrets" else given

    def _patch(self, asked: Asked, media: str, patch: Any) -> Object:
        before = self.store.read(asked.resource, asked.namespace, asked.name)
        after = copy.deepcopy(patching.patched(before, media, patch))
        return self._changed(asked, before, after)

    def _replace(self, asked: Asked, given: Object) -> Object:
        before = self.store.read(asked.resource, asked.namespace, asked.name)
        after = {
            **given,
            "kind": asked.kind,
            "apiVersion": asked.api_version,
            "metadata": dict(given.get("metadata") or {}),
        }
        for field in ("uid", "creationTimestamp", "namespace", "generation"):
            if field in before["metadata"]:
                after["metadata"].setdefault(field, before["metadata"][field])
        return self._changed(asked, before, after)

    def _changed(self, asked: Asked, before: Object, after: Object) -> Object:
        uid = after["metadata"].get("uid")
        if uid != before["metadata"]["uid"]:
            said = f'Invalid value: "{uid}": field is immutable'
            raise invalid(asked.kind, asked.name, ("metadata.uid", said))
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            after["metadata"].pop(field, None)
            if field in before["metadata"]:
                after["metadata"][field] = before["metadata"][field]
        if asked.subresource == "status":
            after = {**before, "status": after.get("status"), "metadata": after["metadata"]}
        elif "status" in before:
            after["status"] = before["status"]
        if asked.resource == "pods":
            admission.check_pod_change(before, after)
        return self.store.update(asked.resource, after)

    def _delete(self, asked: Asked, query: dict[str, str], body: Any) -> Object:
        obj = self.store.read(asked.resource, asked.namespace, asked.name)
        last = deletion.delete(self.store, asked.resource, obj, self._options(query, body))
        if asked.resource == "pods":
            return self._dressed(asked, last)
        details = {"name": asked.name, "kind": asked.resource, "uid": obj["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _delete_all(self, asked: Asked, query: dict[str, str], body: Any) -> Object:
        listed = self.listed(asked, query)
        for each in listed["items"]:
            deletion.delete(self.store, asked.resource, each, self._options(query, body))
        return listed

    @staticmethod
    def _options(query: dict[str, str], body: Any) -> Object:
        options = dict(body or {})
        if "gracePeriodSeconds" in query:
            options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
        return options

    def _evict(self, asked: Asked) -> Object:
        pod = self.store.read("pods", asked.namespace, asked.name)
        deletion.delete(self.store, "pods", pod, {})
        return {"status": "Success", "metadata": {}}

    def _review(self, given: Object) -> Object:
        asked = given["spec"].get("resourceAttributes") or {}
        denied = self.faults.denies(
            asked.get("verb", ""), asked.get("resource", ""), asked.get("subresource", ""), asked.get("namespace", "")
        )
        return {**given, "metadata": {"uid": str(uuid.uuid4())}, "status": {"allowed": not denied}}


def _plain_secret(given: Object) -> Object:
    plain = given.pop("stringData", None) or {}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
    return {"type": "Opaque", **given, "data": {**(given.get("data") or {}), **data}}

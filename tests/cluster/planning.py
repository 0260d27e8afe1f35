"""From a pod to what is run: command, environment, users, volumes. Says which Secret is missing."""

from __future__ import annotations

import base64
import os
import re
import shutil
from pathlib import Path
from typing import Any

from .spawn import Bind, Plan
from .store import Object, Store

REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
LABEL = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")
SERVICE = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    "KUBERNETES_PORT": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1", "KUBERNETES_PORT_443_TCP_PORT": "443",
    "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
}  # fmt: skip  # of the API server: every container has these, whatever enableServiceLinks says


class MissingError(Exception):
    """Something that the pod names is not there (yet), or may not be so."""


class Planner:
    def __init__(self, store: Store, folder: Path, pod: Object) -> None:
        self.store, self.folder, self.pod = store, folder, pod
        self.container = pod["spec"]["containers"][0]
        self.namespace = pod["metadata"]["namespace"]

    def plan(self) -> Plan:
        """Raises `MissingError`."""
        if refusal := self._refusal():
            raise MissingError(refusal)
        spec, container = self.pod["spec"], self.container
        whole, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
        uid = own.get("runAsUser", whole.get("runAsUser", 0))
        env = self._env(uid)
        command = [expand(each, env) for each in container.get("command") or ()]
        args = [expand(each, env) for each in container.get("args") or ()]
        groups = [*(whole.get("supplementalGroups") or ()), *([whole["fsGroup"]] if "fsGroup" in whole else [])]
        return Plan(
            root=self.folder / container["name"] / "root", argv=command + args or ["sh"], env=env,
            cwd=container.get("workingDir") or "/", uid=uid, gid=own.get("runAsGroup", whole.get("runAsGroup", 0)),
            groups=groups, binds=self._binds(), tty=bool(container.get("tty")),
            read_only=bool(own.get("readOnlyRootFilesystem")), shared_pids=bool(spec.get("shareProcessNamespace")),
        )  # fmt: skip

    def _refusal(self) -> str:
        """Why the kubelet won't make this container."""
        whole, own = self.pod["spec"].get("securityContext") or {}, self.container.get("securityContext") or {}
        if not (own.get("runAsNonRoot") or whole.get("runAsNonRoot")):
            return ""
        uid = own.get("runAsUser", whole.get("runAsUser"))
        metadata = self.pod["metadata"]
        about = f'(pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", container: {self.container["name"]})'
        if uid is None:
            return f"container has runAsNonRoot and image will run as root {about}"
        return "" if uid else f"container's runAsUser breaks non-root policy {about}"

    def _env(self, uid: int) -> dict[str, str]:
        env = {"PATH": "/bin", "HOSTNAME": self.pod["metadata"]["name"], **SERVICE}
        for source in self.container.get("envFrom") or ():
            kind = "secrets" if "secretRef" in source else "configmaps"
            reference = source.get("secretRef") or source["configMapRef"]
            found = self._data(kind, reference["name"], optional=bool(reference.get("optional")))
            env.update({source.get("prefix", "") + key: value.decode() for key, value in found.items()})
        for each in self.container.get("env") or ():
            value = self._value(each["valueFrom"]) if each.get("valueFrom") else expand(each.get("value") or "", env)
            if value is not None:
                env[each["name"]] = value
        env.setdefault("HOME", "/root" if uid == 0 else "/")
        return env

    def _value(self, source: Object) -> str | None:
        if "fieldRef" in source:
            return self._field(source["fieldRef"]["fieldPath"])
        for key, kind in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
            if key in source:
                reference = source[key]
                optional = bool(reference.get("optional"))
                data = self._data(kind, reference["name"], optional=optional)
                if reference["key"] in data:
                    return data[reference["key"]].decode()
                if not optional:
                    where = f"{kind[:-1].replace('map', 'Map').capitalize()} {self.namespace}/{reference['name']}"
                    raise MissingError(f"couldn't find key {reference['key']} in {where}")
        return None

    def _field(self, path: str) -> str:
        if match := LABEL.fullmatch(path):
            return str((self.pod["metadata"].get(match[1]) or {}).get(match[2], ""))
        obj: Any = self.pod
        for part in path.split("."):
            obj = (obj or {}).get(part)
        return "" if obj is None else str(obj)

    def _data(self, kind: str, name: str, *, optional: bool) -> dict[str, bytes]:
        found = self.store.find(kind, self.namespace, name)
        if found is None and not optional:
            raise MissingError(f'{kind[:-1]} "{name}" not found')
        plain = (
            {key: value.encode() for key, value in (found or {}).get("data", {}).items()}
            if kind == "configmaps"
            else {}
        )
        coded = {} if kind == "configmaps" else (found or {}).get("data") or {}
        return {**plain, **{key: base64.b64decode(value) for key, value in coded.items()}}

    def mount(self) -> None:
        """Have the volumes in place. Raises `MissingError`."""
        for volume in self.pod["spec"].get("volumes") or ():
            place = self._place(volume["name"])
            if "emptyDir" in volume:
                place.mkdir(parents=True, exist_ok=True)
                self._share(place, 0o777)
            elif "secret" in volume:
                said = volume["secret"]
                data = self._data("secrets", said["secretName"], optional=bool(said.get("optional")))
                self._fill(place, data, said)
            elif "configMap" in volume:
                said = volume["configMap"]
                self._fill(place, self._data("configmaps", said["name"], optional=bool(said.get("optional"))), said)

    def _place(self, volume: str) -> Path:
        return self.folder / "volumes" / volume

    def _fill(self, place: Path, data: dict[str, bytes], said: Object) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        mode = said.get("defaultMode", 0o644)
        items = said.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            if item["key"] not in data:
                raise MissingError(f"references non-existent secret key: {item['key']}")
            path = place / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[item["key"]])
            self._share(path, item.get("mode", mode))
        self._share(place, 0o777)

    def _share(self, path: Path, mode: int) -> None:
        """With the group of the pod, if it has one: the kubelet lets it read then."""
        group = (self.pod["spec"].get("securityContext") or {}).get("fsGroup")
        if group is not None:
            os.chown(path, 0, group)
            mode |= 0o2070 if path.is_dir() else 0o440
        path.chmod(mode)

    def _binds(self) -> list[Bind]:
        hosts = {
            volume["name"]: Path(volume["hostPath"]["path"])
            for volume in self.pod["spec"].get("volumes") or ()
            if "hostPath" in volume
        }
        kinds = {volume["name"]: volume for volume in self.pod["spec"].get("volumes") or ()}
        binds = []
        for mount in self.container.get("volumeMounts") or ():
            source = hosts.get(mount["name"]) or self._place(mount["name"])
            if mount.get("subPath"):
                source = source / mount["subPath"]
            fixed = bool({"secret", "configMap"} & set(kinds[mount["name"]]))
            binds.append(Bind(source, mount["mountPath"].rstrip("/") or "/", bool(mount.get("readOnly")) or fixed))
        return sorted(binds, key=lambda bind: bind.target.count("/"))


def expand(text: str, env: dict[str, str]) -> str:
    """`$(NAME)` is the variable, if there is one, `$$` a dollar sign."""
    return REFERENCE.sub(lambda match: "$" if match[0] == "$$" else env.get(match[1], match[0]), text)

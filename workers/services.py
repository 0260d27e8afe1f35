"""What operators do with workers."""

from __future__ import annotations

import logging

from jobs.hints import hand_over

from .models import Worker

log = logging.getLogger(__name__)


def drain(worker: Worker, actor: str) -> bool:
    """It takes no new jobs; what it runs, it runs to the end. False: it was draining already."""
    return _set_draining(worker, actor, draining=True)


def resume(worker: Worker, actor: str) -> bool:
    """It takes jobs again. False: it was not draining."""
    changed = _set_draining(worker, actor, draining=False)
    if changed:
        hand_over("workers.place")
    return changed


def _set_draining(worker: Worker, actor: str, *, draining: bool) -> bool:
    changed = Worker.objects.filter(pk=worker.pk, draining=not draining).update(draining=draining)
    if changed:
        log.info("%s %s by %s", worker.name, "drained" if draining else "resumed", actor)
    return bool(changed)

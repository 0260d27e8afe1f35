"""How workers are shown."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.models import Job
from workers.models import Worker


class WorkerSerializer(serializers.ModelSerializer[Worker]):
    """`state` is what the heartbeat's age says now; `used` are slots taken by active attempts."""

    state = serializers.CharField(read_only=True)
    used = serializers.SerializerMethodField()
    running = serializers.SerializerMethodField(
        help_text="Execution ids and jobs it has now, of those that you may see."
    )
    capacity = serializers.DictField(read_only=True)
    runtimes = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Worker
        fields = (
            "name", "state", "slots", "used", "runtimes", "engines", "capacity", "region", "labels", "host", "pid",
            "version", "started_at", "last_heartbeat_at", "stopped_at", "running",
        )  # fmt: skip

    def get_used(self, worker: Worker) -> int:
        return worker.running.count()

    def get_running(self, worker: Worker) -> list[dict[str, Any]]:
        running = worker.running
        if (request := self.context.get("request")) is not None:
            running = running.filter(job__in=Job.objects.visible_to(request.user).values("pk"))
        rows = running.order_by("pk").values_list("pk", "job_id", "number", "state")
        return [{"id": pk, "job": str(job), "attempt": number, "state": state} for pk, job, number, state in rows]

import logging
import sys

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig as DjangosAdminConfig


class TowlineConfig(AppConfig):
    name = "towline"
    verbose_name = "Towline"

    def ready(self) -> None:
        from tracing import running  # it has models

        # Python's warnings go past the log otherwise, and a reader of JSON meets what is none.
        logging.captureWarnings(settings.TOWLINE.TOWLINE_LOG_FORMAT == "json")
        running.begin(_role(sys.argv))


def _role(argv: list[str]) -> str:
    """What this process is, for people who read who wrote a span."""
    words = argv[1:3]
    return words[-1] if words[:1] == ["serve"] else (words or ["python"])[0]


class AdminConfig(DjangosAdminConfig):
    default_site = "towline.admin.Site"

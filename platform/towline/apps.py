from django.apps import AppConfig


class TowlineConfig(AppConfig):
    name = "towline"
    verbose_name = "Towline"

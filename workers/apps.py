from django.apps import AppConfig


class WorkersConfig(AppConfig):
    name = "workers"
    verbose_name = "Workers"

    def ready(self) -> None:
        from jobs import outlook

        from .floor import outlook as of_the_workers

        outlook.install(of_the_workers)

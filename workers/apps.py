from django.apps import AppConfig


class WorkersConfig(AppConfig):
    name = "workers"
    verbose_name = "Workers"

    def ready(self) -> None:
        from jobs import outlook, preview

        from .floor import outlook as of_the_workers
        from .preview import preview as of_the_runtimes

        outlook.install(of_the_workers)
        preview.install(of_the_runtimes)

"""`manage.py export_config`: the configuration as YAML on stdout. Keys appear as references, never as secrets."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.pipes.config.export import export_text


class Command(BaseCommand):
    """Write the configuration to stdout."""

    help = "Write the whole configuration as YAML (no secrets); import_config reads it back."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it."""
        self.stdout.write(export_text(), ending="")

"""`manage.py check_store`: the whole check of the SQLite file, indexes included."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fustor_site import store_check

ON_POSTGRES = "The database is PostgreSQL: it checks itself (data checksums, pg_amcheck)."


class Command(BaseCommand):
    """Reads nothing but the file; a server may run meanwhile."""

    help = "Check the structure of the SQLite database file. `verify_view` checks what is in it."

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Say whether it is sound; exit 1 when it is not."""
        if not settings.IS_SQLITE:
            self.stdout.write(ON_POSTGRES)
            return
        path = Path(settings.DATABASES["default"]["NAME"])
        finding = store_check.check(path)
        if finding.damage:
            lines = "\n  ".join(finding.damage)
            raise CommandError(f"{path} is damaged:\n  {lines}\nStop the server and run: manage.py rebuild_store")
        self.stdout.write(f"{path} is sound.")

"""`manage.py rebuild_store`: a new SQLite database with all that people entered; agents send the rest again."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fustor_site import rebuild
from fustor_site.management.commands.check_store import ON_POSTGRES
from fustor_site.supervisor.home import HomeInUse, HomeLock


class Command(BaseCommand):
    """Holds the home meanwhile, so that no server runs on it."""

    help = "Make a new database out of a damaged one: what people entered is copied, trees are sent again by the agents."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The answer to the question."""
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Ask, rebuild, tell."""
        if not settings.IS_SQLITE:
            raise CommandError(ON_POSTGRES)
        path = Path(settings.DATABASES["default"]["NAME"])
        lock = HomeLock(settings.FUSTOR_HOME)
        try:
            lock.take("rebuild_store")
        except HomeInUse as error:
            raise CommandError(str(error)) from error
        try:
            if not options["yes"]:
                self._ask(path)
            damaged, copied = rebuild.rebuild(path)
        finally:
            lock.release()
        for table in copied:
            if table.rows or table.trouble:
                self.stdout.write(f"{table.table}: {table.rows} rows" + (f", then: {table.trouble}" if table.trouble else ""))
        self.stdout.write(f"The damaged file is kept as {damaged}. Start the server: agents send their snapshots by themselves.")

    def _ask(self, path: Path) -> None:
        self.stdout.write(
            f"{path} will be put aside. Trees, sessions and jobs are not copied; every view is empty until its agents"
        )
        self.stdout.write(
            "have sent a snapshot again. Configuration, keys, users and the audit log are copied as far as they can be read."
        )
        if input("Go on? Type yes: ").strip().lower() != "yes":
            raise CommandError("Nothing was changed.")

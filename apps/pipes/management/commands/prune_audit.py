"""`manage.py prune_audit --days N`: drop old entries of the audit log. The only way in which they go, and it is on record."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.pipes import audit_retention
from apps.pipes.audit import Actor
from apps.runtime.problems import Problem


class Command(BaseCommand):
    """Drop entries older than some days."""

    help = "Drop audit entries older than so many days (30 at least). The log keeps an entry that says what went, and by whom."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--days", type=int, required=True, help="keep this many days")
        parser.add_argument("--dry-run", action="store_true", help="only say how many would go")

    def handle(self, *args: Any, **options: Any) -> None:
        """Drop them."""
        if options["dry_run"]:
            self.stdout.write(f"{audit_retention.due(options['days'])} entries would go")
            return
        try:
            gone = audit_retention.prune(Actor(f"command prune_audit ({getpass.getuser()})"), options["days"])
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(f"{gone} entries are gone")

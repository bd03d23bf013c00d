"""`manage.py import_config FILE…`: read YAML, show the plan, apply it as one revision. Same service as the API and the page."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.pipes.config import service
from apps.pipes.config.plan import Action, Plan
from apps.pipes.config.reading import Reading, Text, read
from apps.pipes.keys import ref_of
from apps.runtime.problems import Problem


class Command(BaseCommand):
    """Import configuration files (the unified file)."""

    help = "Import YAML configuration files; applying the same files again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Files and switches."""
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--dry-run", action="store_true", help="show what would happen, change nothing")
        parser.add_argument("--replace", action="store_true", help="delete what the files do not name")
        parser.add_argument("--message", default="", help="why, for the revision")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, plan, and unless it is a dry run apply."""
        try:
            reading = read(_texts(options["files"]), variables=os.environ, known_ref=ref_of)
            self._tell(reading)
            wanted = service.Wanted(reading.document, reading.secrets, replace=options["replace"])
            if options["dry_run"]:
                self._show(service.preview(wanted))
                return
            author = service.Author("command import_config", options["message"])
            plan, revision = service.change(wanted, author)
        except Problem as problem:
            raise CommandError(_lines(problem)) from problem
        self._show(plan)
        self.stdout.write(f"Applied as revision {revision.number}." if revision else "Nothing to change.")

    def _tell(self, reading: Reading) -> None:
        for notice in reading.notices:
            self.stderr.write(f"notice: {notice}")

    def _show(self, plan: Plan) -> None:
        for notice in plan.notices:
            self.stderr.write(f"notice: {notice}")
        for step in plan.of(Action.CREATE, Action.UPDATE, Action.DELETE):
            self.stdout.write(str(step))
        self.stdout.write(f"Plan: {plan.summary()}.")


def _texts(files: list[str]) -> list[Text]:
    texts = []
    for name in files:
        try:
            texts.append(Text(name, Path(name).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name} cannot be read: {error}") from error
    return texts


def _lines(problem: Problem) -> str:
    faults = problem.extra.get("faults")
    if not faults:
        return problem.detail + (f" {problem.fix}" if problem.fix else "")
    listed = "\n".join(f"  {fault['where']}: {fault['what']} {fault['fix']}".rstrip() for fault in faults)
    return f"Nothing was changed. {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n{listed}"

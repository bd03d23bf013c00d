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
    """Import configuration files."""

    help = "Import YAML configuration (unified file, split layout, older names); applying the same files again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Files and switches."""
        parser.add_argument("files", nargs="+", metavar="FILE", help="YAML file, or a directory of them")
        parser.add_argument("--agent", default="", metavar="ID", help="the agent whose files these are, when they do not say")
        parser.add_argument("--dry-run", action="store_true", help="show what would happen, change nothing")
        parser.add_argument("--replace", action="store_true", help="delete what the files do not name")
        parser.add_argument("--message", default="", help="why, for the revision")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, plan, and unless it is a dry run apply."""
        try:
            reading = read(_texts(options["files"]), variables=os.environ, known_ref=ref_of, agent_id=options["agent"])
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


def _texts(names: list[str]) -> list[Text]:
    texts = []
    for path in (file for name in names for file in _files(Path(name))):
        try:
            texts.append(Text(str(path), path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
    return texts


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in {".yaml", ".yml"} and file.is_file())
    if not found:
        raise CommandError(f"There is no YAML file in {path}.")
    return found


def _lines(problem: Problem) -> str:
    faults = problem.extra.get("faults")
    if not faults:
        return problem.detail + (f" {problem.fix}" if problem.fix else "")
    listed = "\n".join(f"  {fault['where']}: {fault['what']} {fault['fix']}".rstrip() for fault in faults)
    return f"Nothing was changed. {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n{listed}"

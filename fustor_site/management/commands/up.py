"""`manage.py up`: start everything under one supervisor. `make run` calls it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fustor_site.supervisor.up import CannotStart, Options, up


class Command(BaseCommand):
    """Reads the command line; the work is in fustor_site.supervisor."""

    help = "Start web server, worker, broker and a local agent, and keep them running until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The flags, also Make variables of the same name."""
        parser.add_argument("--watch", type=Path, help="directory to watch (default: that of last time, or a sample tree)")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default %(default)s)")
        parser.add_argument("--home", help="where everything is kept (default ./var); read before settings, by manage.py")
        parser.add_argument("--demo", action="store_true", help="with a simulated fleet to look at")
        parser.add_argument("--no-agent", action="store_true", help="run the server only")

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Run until a signal; the exit code is 0 after a clean stop."""
        watch = options["watch"]
        chosen = Options(
            host=options["host"],
            port=options["port"],
            watch=watch.expanduser().resolve() if watch else None,
            agent=not options["no_agent"],
            demo=options["demo"],
        )
        try:
            code = up(chosen)
        except CannotStart as error:
            raise CommandError(str(error)) from error
        if code:
            raise SystemExit(code)

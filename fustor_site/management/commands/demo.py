"""`manage.py demo`: a simulated fleet on a running server. `make demo` starts both."""

import asyncio
import contextlib
import signal
import time
from argparse import ArgumentParser
from random import Random
from typing import Any

from django.core.management.base import BaseCommand

from fustor_site.demo import fleet


class Command(BaseCommand):
    """Reads the command line; the work is in fustor_site.demo."""

    help = "Drive a running server with a simulated fleet of eight hosts, until Ctrl-C. Makes what it needs, all called demo-…"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the server is, and how much there is to see."""
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server (default %(default)s)")
        parser.add_argument("--files", type=int, default=5_000, help="files of each storage at the beginning (default %(default)s)")

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Run until a signal; its keys are revoked at the end."""
        secrets = fleet.configure()
        # the supervisor ends its programs with SIGTERM
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(fleet.run(options["url"], secrets, options["files"], Random(), time.time()))  # noqa: S311 - no secret
        finally:
            fleet.revoke()

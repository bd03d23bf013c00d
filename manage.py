#!/usr/bin/env python3
"""Entry point of every management command. `manage.py up` outside a virtual environment makes one first and goes on in it."""

import os
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")
    if "up" in sys.argv[1:2]:
        _install_if_needed()
        _take_home(sys.argv[2:])
    if find_spec("django") is None:
        sys.exit(f"Django is not installed in {sys.executable}. Run `make run` once, then use .venv/bin/python manage.py …")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def _install_if_needed() -> None:
    """Inside a virtual environment its owner decides what is installed; elsewhere the locked packages go into `.venv`."""
    if sys.prefix != sys.base_prefix:
        return
    from tools.install import CannotInstall, ensure

    try:
        python = str(ensure("run"))
    except CannotInstall as error:
        sys.exit(str(error))
    os.execv(python, [python, *sys.argv])  # noqa: S606 - the same command line in the new Python


def _take_home(arguments: list[str]) -> None:
    """Settings are read before any option is parsed, and they need the home."""
    import argparse

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--home")
    home = parser.parse_known_args(arguments)[0].home
    if home:
        os.environ["FUSTOR_HOME"] = home


if __name__ == "__main__":
    main()

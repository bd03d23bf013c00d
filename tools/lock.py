"""Pins the newest versions that pyproject.toml allows: `make lock`. Needs `uv` once, on the machine of whoever updates.

Writes requirements/dev.lock (everything) and requirements/run.lock (what a server and its local agent need), with hashes,
for every platform; `pip install --require-hashes` installs from them.
"""

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
EXTRAS = {"dev": ("server", "agent", "build", "dev"), "run": ("server", "agent", "build")}
FIXED = ("--universal", "--generate-hashes", "--no-annotate", "--python-version", "3.11", "--custom-compile-command", "make lock")


def compile_lock(uv: str, name: str, *options: str) -> None:
    """Write one lock file."""
    extras = [part for extra in EXTRAS[name] for part in ("--extra", extra)]
    command = [uv, "pip", "compile", "--quiet", *FIXED, *options, *extras, "pyproject.toml", "-o", f"requirements/{name}.lock"]
    subprocess.run(command, cwd=PROJECT, check=True)


if __name__ == "__main__":
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("`make lock` needs uv (pip install uv). Running and testing Fustor does not.")
    compile_lock(uv, "dev", "--upgrade")
    # the same versions as in dev, so what was tested is what runs
    compile_lock(uv, "run", "--upgrade", "--constraint", "requirements/dev.lock")

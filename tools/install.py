"""Puts everything locked into `.venv` next to this project, and this project with it. Standard library only.

Used by `manage.py up` when it runs outside a virtual environment, and by the Makefile: `python tools/install.py run|dev`.
What is installed already is left alone, so a second start needs no network.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
# dev holds everything of run, so an environment with dev serves both
LOCKS = {"run": ("run", "dev"), "dev": ("dev",)}
OLDEST = (3, 11)


class CannotInstall(Exception):
    """The environment cannot be made; the text says what to do."""


def ensure(kind: str) -> Path:
    """The Python of `.venv` with the locked packages of `kind` ("run" or "dev"). Raises CannotInstall."""
    if sys.version_info < OLDEST:
        raise CannotInstall(
            f"Fustor needs Python {'.'.join(map(str, OLDEST))} or newer; this is {sys.version.split()[0]} ({sys.executable}).\n"
            "Name another one: make run PYTHON=/path/to/python3.11"
        )
    if not any(_is_installed(name) for name in LOCKS[kind]):
        _install(kind)
    return PYTHON


def _is_installed(name: str) -> bool:
    stamp = VENV / f"{name}.installed"
    return PYTHON.exists() and stamp.exists() and stamp.read_text() == _state(name)


def _state(name: str) -> str:
    """What an installation depends on: the lock, how this project is built, where it lies, and which Python."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {PROJECT}".encode())
    for path in (_lock(name), PROJECT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _lock(name: str) -> Path:
    return PROJECT / "requirements" / f"{name}.lock"


def _install(name: str) -> None:
    print(f"Installing what Fustor needs into {VENV} (once; about a minute) …", flush=True)
    _make_venv()
    _pip("install", "--require-hashes", "--requirement", str(_lock(name)))
    _pip("install", "--no-deps", "--no-build-isolation", "--editable", str(PROJECT))
    (VENV / f"{name}.installed").write_text(_state(name))


def _make_venv() -> None:
    if PYTHON.exists() and _runs(PYTHON, "-c", f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"):
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    done = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        version = ".".join(map(str, sys.version_info[:2]))
        raise CannotInstall(
            f"This Python cannot make a virtual environment: {(done.stdout + done.stderr).strip()}\n"
            f"On Debian or Ubuntu: sudo apt-get install python{version}-venv"
        )


def _runs(*command: object) -> bool:
    return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0


def _pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments, "-qq"]
    if subprocess.run(command, check=False).returncode:
        raise CannotInstall(
            "pip could not install the locked packages (see above). The first installation needs a package index: check the "
            "network, or point pip at a mirror (PIP_INDEX_URL), then run the same command again."
        )


if __name__ == "__main__":
    try:
        print(ensure(sys.argv[1] if len(sys.argv) > 1 else "run"))
    except CannotInstall as error:
        sys.exit(str(error))

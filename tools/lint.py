"""Everything that CI asks of a commit beside the tests: `python tools/lint.py [name …]`. Used by `make lint` and pre-commit.

Every check runs, also after one failed; the exit code is 1 when any did.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS: dict[str, list[str]] = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "ruff": ["ruff", "check", "--quiet", "."],
    "types": ["mypy"],
    "imports": ["lint-imports", "--no-cache"],
    "security": ["bandit", "-q", "-c", "pyproject.toml", "-r", "fustor_schema", "fustor_site", "apps", "agent_runner"],
    "advisories": ["python", "tools/advisories.py"],
    "templates": ["djlint", "--lint", "--quiet", "templates"],
    "migrations": ["python", "manage.py", "makemigrations", "--check", "--dry-run", "--verbosity", "1"],
    "deploy": ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
    "vendor": ["python", "tools/vendor.py", "--check"],
    "links": ["python", "tools/links.py"],
}


def main(names: list[str]) -> int:
    """Run the named checks, or all."""
    unknown = set(names) - set(CHECKS)
    if unknown:
        sys.exit(f"no such check: {', '.join(sorted(unknown))}. There are: {', '.join(CHECKS)}")
    with tempfile.TemporaryDirectory(prefix="fustor-lint-") as home:
        environment = os.environ | {"FUSTOR_HOME": home, "FUSTOR_TLS": "1", "FUSTOR_LOG_LEVEL": "WARNING"}
        failed = [name for name in names or CHECKS if not _passes(name, environment)]
    print(f"lint: {', '.join(failed)} failed" if failed else "lint: all passed")
    return 1 if failed else 0


def _passes(name: str, environment: dict[str, str]) -> bool:
    program, *arguments = CHECKS[name]
    started = time.monotonic()
    command = [str(BIN / program), *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    mark = "ok" if done.returncode == 0 else "FAILED"
    print(f"{name:<12}{mark}  {time.monotonic() - started:.1f} s", flush=True)
    if done.returncode:
        print(done.stdout.decode(errors="replace"), flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

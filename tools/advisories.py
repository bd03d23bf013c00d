"""No locked package has a fault that requirements/advisories.toml knows of: `python tools/advisories.py`.

Needs no network; a part of `make lint`.
"""

import re
import sys
import tomllib
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def faults(lock: str, advisories: str) -> list[str]:
    """One line for each package of a lock (its text) that an advisory (of the text of advisories.toml) is about."""
    pinned = {name.lower(): version for name, version in _PINNED.findall(lock)}
    return [
        f"{known['package']} {pinned[known['package']]}: {known['id']} is mended in {known['below']}; run make lock"
        for known in tomllib.loads(advisories)["advisory"]
        if known["package"] in pinned and _numbers(pinned[known["package"]]) < _numbers(known["below"])
    ]


def _numbers(version: str) -> tuple[int, ...]:
    # the locks hold releases only, so their numbers tell which is older
    return tuple(int(number) for number in re.findall(r"\d+", version))


def main() -> int:
    """Look at both locks; 1 when one holds a package with a known fault."""
    advisories = (REQUIREMENTS / "advisories.toml").read_text()
    found = [
        f"{path.name}: {line}" for path in sorted(REQUIREMENTS.glob("*.lock")) for line in faults(path.read_text(), advisories)
    ]
    print("\n".join(found) or "no known fault in the locks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

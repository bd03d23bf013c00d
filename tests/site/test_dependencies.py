"""Every direct dependency is explained in docs/DEPENDENCIES.md, and nothing is explained that is not there."""

import re
import tomllib
from pathlib import Path

from tools import advisories

PROJECT = Path(__file__).resolve().parents[2]


def test_the_document_names_exactly_the_direct_dependencies() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    declared = {*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)}
    names = {re.match(r"[A-Za-z0-9-]+", line)[0] for line in declared}
    rows = re.findall(r"^\| ([a-z0-9, -]+) \|", (PROJECT / "docs" / "DEPENDENCIES.md").read_text(), re.MULTILINE)
    explained = {name for row in rows for name in row.split(", ")} - {"package", "---"}
    assert explained == names


def test_both_locks_pin_the_same_versions() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (PROJECT / "requirements" / f"{name}.lock").read_text(), re.MULTILINE))

    run, dev = pins("run"), pins("dev")
    assert run
    assert run.items() <= dev.items(), "what runs is what was tested"


def test_a_lock_with_a_package_that_an_advisory_is_about_is_refused() -> None:
    known = '[[advisory]]\npackage = "django"\nbelow = "5.2.8"\nid = "CVE-2025-64459"\n'
    assert advisories.faults("django==5.2.7 \\\n    --hash=sha256:00\n", known) == [
        "django 5.2.7: CVE-2025-64459 is mended in 5.2.8; run make lock"
    ]
    assert advisories.faults("django==5.2.10\nredis[hiredis]==8.1.0 ; python_version > '3'\n", known) == []
    assert advisories.main() == 0

"""Checks that links in the documents lead somewhere: `python tools/links.py`. Files and headings of this project; no network."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """The Markdown files that readers see."""
    return [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]


def broken(document: Path) -> Iterator[str]:
    """What is wrong with the links of one document, in words."""
    for target in LINK.findall(FENCE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.exists():
            yield f"{document.relative_to(PROJECT)}: {target} does not exist"
        elif heading and path.suffix == ".md" and heading not in anchors(path):
            yield f"{document.relative_to(PROJECT)}: {target}: there is no such heading"


def anchors(document: Path) -> set[str]:
    """The names under which a document's headings can be linked to."""
    headings = HEADING.findall(FENCE.sub("", document.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    found = [fault for document in documents() for fault in broken(document)]
    print("\n".join(found) or f"{len(documents())} documents, every link leads somewhere")
    sys.exit(bool(found))

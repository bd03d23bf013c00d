"""Several files as one text and back, and YAML out of a zip archive: what the import page takes in. Pure.

In one text each file begins with a line `# file: views-config/research.yaml`; the name tells what is in it (see config.legacy).
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO

from apps.pipes.config.faults import Fault, as_problem
from apps.pipes.config.reading import Text
from apps.pipes.config.yaml_text import LONGEST_TEXT

MOST_FILES = 500
_HEAD = re.compile(r"^# file: (.+)$", re.MULTILINE)
_SUFFIXES = (".yaml", ".yml")


def joined(texts: Sequence[Text]) -> str:
    """Several files as one text; a single one stays as it is."""
    if len(texts) == 1:
        return texts[0].content
    return "\n".join(f"# file: {text.name}\n{text.content.strip()}\n" for text in texts)


def split(text: str, name: str) -> list[Text]:
    """The files of a text; what stands before the first head belongs to a file called `name`."""
    first, *rest = _HEAD.split(text)
    named = [Text(head.strip(), content) for head, content in zip(rest[::2], rest[1::2], strict=True)]
    return [Text(name, first), *named] if first.strip() or not named else named


def unzipped(archive: IO[bytes], name: str) -> list[Text]:
    """The YAML files of a zip archive, by their paths. Raises Invalid for what is no archive, or is too large."""
    try:
        with zipfile.ZipFile(archive) as opened:
            texts = list(_texts(opened, name))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise as_problem([Fault(name, f"This is no zip archive that can be read: {error}.", "Pack it again.")]) from error
    if not texts:
        raise as_problem([Fault(name, "There is no YAML file in the archive.", "Pack the configuration directory itself.")])
    return texts


def _texts(archive: zipfile.ZipFile, name: str) -> Iterator[Text]:
    members = [member for member in archive.infolist() if _is_yaml(member.filename)]
    if len(members) > MOST_FILES:
        raise as_problem([Fault(name, f"The archive has more than {MOST_FILES} YAML files.", "Import it in parts.")])
    left = LONGEST_TEXT
    for member in sorted(members, key=lambda member: member.filename):
        with archive.open(member) as opened:
            # what the directory of the archive says of sizes may be a lie
            content = opened.read(left + 1)
        left -= len(content)
        if left < 0:
            raise as_problem([Fault(name, f"Unpacked it is larger than {LONGEST_TEXT} bytes.", "Import it in parts.")])
        yield Text(member.filename, content.decode(errors="replace"))


def _is_yaml(name: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return name.lower().endswith(_SUFFIXES) and not hidden

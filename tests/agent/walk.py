"""The oracle: what os.walk and lstat say of a directory, and what a recorded view says."""

import os
from pathlib import Path
from typing import Any


def walked(tree: Path) -> dict[str, int]:
    """Path → size of everything in the tree; directories count as -1."""
    found = {"/": -1}
    for directory, names, files in os.walk(tree):
        for name in names:
            path = Path(directory) / name
            found["/" + str(path.relative_to(tree))] = -1 if not path.is_symlink() else path.lstat().st_size
        for name in files:
            path = Path(directory) / name
            found["/" + str(path.relative_to(tree))] = path.lstat().st_size
    return found


def seen(view: dict[str, dict[str, Any]]) -> dict[str, int]:
    """The same of a view: path → row."""
    return {path: -1 if row.get("is_directory") else row.get("size", 0) for path, row in view.items()}


def grow(tree: Path, directories: int = 40) -> None:
    """A small tree, three levels deep."""
    for number in range(directories):
        directory = tree / f"d{number % 7}" / f"e{number}"
        directory.mkdir(parents=True)
        (directory / "file").write_text("x" * number)


def widen(tree: Path, directories: int, files: int = 1_000) -> None:
    """Directories of many empty files each, all of them in the root."""
    for number in range(directories):
        directory = tree / f"w{number:02}"
        directory.mkdir()
        for inner in range(files):
            (directory / f"f{inner}").touch()


def age(tree: Path, seconds: float = 3_600) -> None:
    """Lets every directory look as if it had not changed for a while."""
    for directory, _, _ in os.walk(tree, topdown=False):
        status = os.stat(directory)
        os.utime(directory, (status.st_atime - seconds, status.st_mtime - seconds))

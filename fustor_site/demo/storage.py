"""Made-up shared storage: a tree of files in memory that grows, changes and shrinks. Pure but for the dice it is given."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

Row = dict[str, Any]
Change = tuple[str, list[Row]]
"""(event type, rows): what a host that watches says of one change."""

_DATASETS = ("genome", "imaging", "spectra", "climate", "telescope", "survey")
_ENDINGS = ("dat", "fits", "h5", "csv", "log", "tar")
_MOST_FILES_OF_A_RUN = 40


@dataclass
class Storage:
    """Directories with their mtime, files with (size, mtime). Times in Unix seconds, sizes in bytes."""

    dice: Random
    directories: dict[str, float] = field(default_factory=dict)
    files: dict[str, tuple[int, float]] = field(default_factory=dict)

    def fill(self, count: int, now: float) -> None:
        """Make about so many files, written in the months before now."""
        while len(self.files) < count:
            at = now - self.dice.uniform(3600, 120 * 86400)
            directory = self._new_run(at)
            for number in range(self.dice.randrange(5, _MOST_FILES_OF_A_RUN)):
                self.files[f"{directory}/{self._file_name(number)}"] = (int(self.dice.lognormvariate(13, 2)), at + number)

    def rows(self) -> Iterator[Row]:
        """Everything, parents first, as a scan lists it."""
        for path in sorted(self.directories):
            yield _directory_row(path, self.directories[path])
        for path in sorted(self.files):
            yield self._file_row(path)

    def change(self, now: float) -> list[Change]:
        """Something happens; what an attentive host says of it, in order."""
        kind = self.dice.choices(("write", "append", "run", "remove", "rename"), (5, 5, 1, 2, 1))[0]
        return {"write": self._write, "append": self._append, "run": self._run, "remove": self._remove, "rename": self._rename}[
            kind
        ](now)

    def _write(self, now: float) -> list[Change]:
        directory = self.dice.choice([path for path in self.directories if path.count("/") == 3])
        path = f"{directory}/{self._file_name(self.dice.randrange(1000, 9999))}"
        self.files[path], self.directories[directory] = (self.dice.randrange(10_000_000), now), now
        return [("insert", [self._file_row(path), _directory_row(directory, now)])]

    def _append(self, now: float) -> list[Change]:
        path = self.dice.choice(list(self.files))
        size = self.files[path][0] + self.dice.randrange(1, 1_000_000)
        self.files[path] = (size, now)
        # half of the writers are not done yet
        return [("update", [self._file_row(path, done=self.dice.random() < 0.5)])]

    def _run(self, now: float) -> list[Change]:
        directory = self._new_run(now)
        for number in range(self.dice.randrange(3, _MOST_FILES_OF_A_RUN)):
            self.files[f"{directory}/{self._file_name(number)}"] = (self.dice.randrange(10_000_000), now)
        inside = [self._file_row(path) for path in self.files if path.startswith(f"{directory}/")]
        above = [_directory_row(path, now) for path in self.directories if f"{directory}/".startswith(f"{path}/")]
        return [("insert", [*above, *inside])]

    def _remove(self, now: float) -> list[Change]:
        path = self.dice.choice(list(self.files))
        del self.files[path]
        directory = path.rpartition("/")[0]
        self.directories[directory] = now
        return [("delete", [{"path": path}]), ("update", [_directory_row(directory, now)])]

    def _rename(self, now: float) -> list[Change]:
        path = self.dice.choice(list(self.files))
        directory = path.rpartition("/")[0]
        target = f"{directory}/final-{self.dice.randrange(10_000)}.{path.rpartition('.')[2]}"
        self.files[target], self.directories[directory] = self.files.pop(path), now
        return [("delete", [{"path": path}]), ("insert", [self._file_row(target), _directory_row(directory, now)])]

    def _new_run(self, now: float) -> str:
        path = ""
        for part in (self.dice.choice(_DATASETS), f"{2021 + self.dice.randrange(6)}", f"run-{self.dice.randrange(10_000):04d}"):
            path = f"{path}/{part}"
            self.directories[path] = now
        return path

    def _file_name(self, number: int) -> str:
        return f"part-{number:04d}.{self.dice.choice(_ENDINGS)}"

    def _file_row(self, path: str, *, done: bool = True) -> Row:
        size, mtime = self.files[path]
        return {
            "path": path,
            "file_name": path.rpartition("/")[2],
            "size": size,
            "modified_time": mtime,
            "created_time": mtime,
            "is_directory": False,
            "is_atomic_write": done,
        }


def _directory_row(path: str, mtime: float) -> Row:
    return {
        "path": path,
        "file_name": path.rpartition("/")[2],
        "size": 4096,
        "modified_time": mtime,
        "created_time": mtime,
        "is_directory": True,
    }

"""Python imports this at its start in the processes of an agent under test: looking at the names that stand in the file
FUSTOR_TEST_FAULTS (lines of `name errno`, read anew for each directory) fails, as on a storage that is ill."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

_FILE = os.environ["FUSTOR_TEST_FAULTS"]
_healthy_scandir = os.scandir


class _Entry:
    def __init__(self, entry: Any, fault: int | None) -> None:
        self._entry, self._fault = entry, fault
        self.name, self.path = entry.name, entry.path

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        if self._fault is not None:
            raise OSError(self._fault, os.strerror(self._fault), self.path)
        found: os.stat_result = self._entry.stat(follow_symlinks=follow_symlinks)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)


class _Entries:
    def __init__(self, path: Any) -> None:
        self._entries = _healthy_scandir(path)

    def __iter__(self) -> Iterator[_Entry]:
        with open(_FILE) as file:
            faults = {name: int(number) for name, number in (line.split() for line in file)}
        return (_Entry(entry, faults.get(os.fsdecode(entry.name))) for entry in self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._entries.close()


os.scandir = _Entries  # type: ignore[assignment,misc]

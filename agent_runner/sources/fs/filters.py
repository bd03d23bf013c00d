"""Include and exclude patterns, compiled once. Used by the scanner's processes and the watcher alike, so both see one tree."""

import fnmatch
import re
from collections.abc import Callable, Sequence

Matcher = Callable[[bytes, bytes], bool]


def _pattern(patterns: Sequence[str]) -> re.Pattern[bytes] | None:
    if not patterns:
        return None
    joined = "|".join(f"(?:{fnmatch.translate(pattern)})" for pattern in patterns)
    return re.compile(joined.encode("utf-8", "surrogateescape"), re.DOTALL)


class Filters:
    """Decides on raw names and paths. `trivial` is true when nothing is ever filtered, so that loops can skip the question."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self.trivial = not include and not exclude
        self._include = _matcher(include)
        self._exclude = _matcher(exclude)

    def keeps(self, path: bytes, name: bytes, *, is_directory: bool) -> bool:
        """True when the entry belongs to the view. `path` is within the root."""
        if self._exclude is not None and self._exclude(path, name):
            return False
        return is_directory or self._include is None or self._include(path, name)

    def keeps_path(self, path: bytes, *, is_directory: bool) -> bool:
        """The same for an entry that was not reached by walking: every directory above it must be kept as well."""
        if self.trivial:
            return True
        parts = path.split(b"/")
        above = (b"/".join(parts[:depth]) for depth in range(2, len(parts)))
        return self.keeps(path, parts[-1], is_directory=is_directory) and all(
            self.keeps(directory, directory.rpartition(b"/")[2], is_directory=True) for directory in above
        )


def _matcher(patterns: Sequence[str]) -> Matcher | None:
    names = _pattern([pattern for pattern in patterns if "/" not in pattern])
    paths = _pattern([pattern for pattern in patterns if "/" in pattern])
    if names is None and paths is None:
        return None

    def matches(path: bytes, name: bytes) -> bool:
        return bool((names and names.match(name)) or (paths and paths.match(path)))

    return matches

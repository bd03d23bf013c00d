"""Tombstones of one batch: those that are stored for its paths, and those that it leaves or lifts (R6–R9). Part of `Context`."""

from collections.abc import Iterable
from typing import Any

from apps.views.claims import Said
from apps.views.models import Tree
from apps.views.rules import Grave, Rule
from apps.views.store import memory
from fustor_schema import paths
from fustor_schema.sources import MessageSource


class Graves:
    """`changes`: what to write, by path; None removes. `cleared`: prefixes below which older tombstones go."""

    def __init__(self, tree: Tree, now_ms: int) -> None:
        self._tree, self._now_ms = tree, now_ms
        self._at: dict[str, Grave] = {}
        self._above: dict[str, Grave] = {}
        self.changes: dict[str, tuple[Any, ...] | None] = {}
        self.cleared: dict[str, int] = {}
        self._stored: set[str] = set()
        self._had_any = tree.tombstone_count > 0

    def __bool__(self) -> bool:
        return bool(self._at or self._above)

    def load(self, wanted: Iterable[str]) -> None:
        """Load the tombstones at these paths and at all their ancestors."""
        if not self._tree.tombstone_count:
            return
        needed = set(wanted)
        needed |= paths.above_all(needed)
        for path, subtree, observed_at, error_ms, session, source in memory.tombstones(self._tree.pk, list(needed)):
            self._stored.add(path)
            self._put(path, Grave(observed_at, error_ms, session, source == MessageSource.REALTIME), subtree=subtree)

    def covering(self, path: str) -> Grave | None:
        """The newest tombstone that covers a path: its own, or one with subtree on a directory above (R6)."""
        found = self._at.get(path)
        if self._above:
            for directory in paths.ancestors(path):
                candidate = self._above.get(directory)
                if candidate is not None and (found is None or candidate.observed_at > found.observed_at):
                    found = candidate
        return found

    def at(self, path: str) -> Grave | None:
        """The tombstone of the path itself."""
        return self._at.get(path)

    def bury(self, path: str, said: Said, rule: Rule, *, subtree: bool) -> None:
        """Leave a tombstone (R7); an older one never replaces a newer at the same path."""
        before = self._at.get(path)
        if before is not None and before.observed_at > said.observed_at:
            return
        if before is None:
            self._tree.tombstone_count += 1
        self._put(path, Grave(said.observed_at, said.error_ms, said.session, said.realtime), subtree=subtree)
        self.changes[path] = (
            subtree, said.observed_at, said.error_ms, self._now_ms, said.session, said.source.value, int(rule),
        )  # fmt: skip

    def lift(self, path: str) -> None:
        """The path lives again. A tombstone with subtree stays for what was below: narrowed to older children (scenario 71)."""
        if path in self._at and path not in self._above:
            self._remove(path)

    def narrow(self, path: str) -> None:
        """Something stands at the path itself now; the tombstone goes on covering what was below (R36)."""
        self._at.pop(path, None)

    def clear_at(self, path: str, observed_at: int) -> None:
        """Something moved here with all below it: what was deleted here before says nothing of it (R39)."""
        if path in self._at:
            self._remove(path)
        for below in [known for known in self._at if paths.is_within(known, path)]:
            self._remove(below)
        self.cleared[path] = observed_at

    def cover(self, path: str, observed_at: int) -> None:
        """A new tombstone with subtree makes older ones below it needless (R6: one per deleted subtree)."""
        self.cleared[path] = observed_at

    def write(self) -> None:
        """Write what changed; keeps the tree's count right."""
        for path in [path for path in self.changes if self._is_covered(path)]:
            del self.changes[path]
            if path not in self._stored:
                self._tree.tombstone_count -= 1
        if self.changes:
            memory.write_tombstones(self._tree.pk, self.changes)
        if self._had_any:
            for path, observed_at in self.cleared.items():
                if not self._is_covered(path):
                    self._tree.tombstone_count -= memory.drop_covered_tombstones(self._tree.pk, path, observed_at)
        self._tree.tombstone_count = max(0, self._tree.tombstone_count)

    def _is_covered(self, path: str) -> bool:
        """Whether a path lies strictly below a deleted or overwritten subtree of this batch, and is no newer."""
        change = self.changes.get(path)
        observed_at = change[1] if change is not None else 0
        return bool(self.cleared) and any(self.cleared.get(above, -1) >= observed_at for above in paths.ancestors(path))

    def _put(self, path: str, grave: Grave, *, subtree: bool) -> None:
        self._at[path] = grave
        if subtree:
            self._above[path] = grave
        else:
            self._above.pop(path, None)

    def _remove(self, path: str) -> None:
        del self._at[path]
        self._above.pop(path, None)
        self.changes[path] = None
        self._tree.tombstone_count = max(0, self._tree.tombstone_count - 1)

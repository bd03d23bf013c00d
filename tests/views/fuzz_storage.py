"""The model of the storage that `test_fuzz` compares the engine with: what is there, and what a caching client still sees."""

from collections import defaultdict
from dataclasses import dataclass, replace

from apps.runtime import clock
from fustor_schema import paths
from fustor_schema.wire import FsRow

DIRECTORIES = ["/a", "/b", "/a/c", "/b/c"]
FILES = [paths.join(parent, name) for parent in ("/", *DIRECTORIES) for name in ("x", "y")]


@dataclass
class Node:
    """What really is at a path. `size` None: a directory. `made_at`: since when something is there without a break."""

    mtime: float
    size: int | None
    made_at: float

    @property
    def is_directory(self) -> bool:
        return self.size is None


Nodes = dict[str, Node]


class Storage:
    """One storage that several hosts mount. Every host sees its own changes at once, and those of others some time later."""

    def __init__(self) -> None:
        self.nodes: Nodes = {}
        self._past: list[tuple[float, Nodes]] = [(0.0, {})]
        # (host, directory) → as of when the host's cache shows the directory at least; time never goes back in a cache
        self._cached: defaultdict[tuple[int, str], float] = defaultdict(float)

    def write(self, host: int, path: str, mtime: float, size: int | None) -> bool:
        """Make a node (`size` None: a directory), or change a file; False when it cannot be."""
        before = self.nodes.get(path)
        if not self.has_directory(paths.parent(path)) or (before is not None and (size is None or before.is_directory)):
            return False
        self.nodes[path] = Node(mtime, size, before.made_at if before is not None else clock.now())
        self._changed(host, path)
        return True

    def remove(self, host: int, path: str) -> bool:
        """Remove a node with all below it; False when nothing is there."""
        if path not in self.nodes:
            return False
        for gone in self.below(path):
            del self.nodes[gone]
        self._changed(host, path)
        return True

    def rename(self, host: int, origin: str, target: str) -> bool:
        """Rename a node to where nothing is, or over a file or an empty directory of its own kind; False when it cannot be."""
        if origin not in self.nodes or paths.is_within(target, origin) or not self._can_be_replaced(origin, target):
            return False
        if not self.has_directory(paths.parent(target)):
            return False
        self.nodes.pop(target, None)
        for path in self.below(origin):
            self.nodes[target + path[len(origin) :]] = replace(self.nodes.pop(path), made_at=clock.now())
        self._changed(host, origin, target)
        return True

    def _can_be_replaced(self, origin: str, target: str) -> bool:
        standing = self.nodes.get(target)
        if standing is None:
            return True
        return standing.is_directory == self.nodes[origin].is_directory and self.below(target) == [target]

    def below(self, path: str) -> list[str]:
        """A path and what is below it, parents first."""
        return sorted(known for known in self.nodes if paths.is_within(known, path))

    def has_directory(self, path: str) -> bool:
        return path == paths.ROOT or (path in self.nodes and self.nodes[path].is_directory)

    def listed(self, host: int, directory: str, age: float) -> Nodes:
        """The children of a directory as a host sees them whose cache is up to `age` seconds old."""
        key = host, directory
        self._cached[key] = max(self._cached[key], clock.now() - age)
        then = next(nodes for at, nodes in reversed(self._past) if at <= self._cached[key])
        return {path: node for path, node in sorted(then.items()) if paths.parent(path) == directory}

    def row(self, path: str) -> FsRow:
        return row_of(path, self.nodes[path])

    def _changed(self, host: int, *touched: str) -> None:
        self._past.append((clock.now(), dict(self.nodes)))
        for path in touched:
            self._cached[host, paths.parent(path)] = clock.now()


def row_of(path: str, node: Node) -> FsRow:
    """What an agent sends of a node."""
    return FsRow(path=path, modified_time=node.mtime, size=node.size or 0, is_directory=node.is_directory)

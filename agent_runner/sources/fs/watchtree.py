"""The watched directories as a tree: watch number ↔ path. A rename of a directory moves one node, whatever lies below (R39)."""

import itertools
from collections import OrderedDict
from collections.abc import Iterator


class Node:
    """One directory. `wd` is None while it is not watched. `told`: the server knows it, or will by a scan; False for one that was
    gone again before it could be listed."""

    __slots__ = ("children", "name", "parent", "told", "wd")

    def __init__(self, name: bytes, parent: "Node | None") -> None:
        self.name, self.parent, self.told = name, parent, True
        self.wd: int | None = None
        self.children: dict[bytes, Node] | None = None

    def path(self) -> bytes:
        """The raw path within the root."""
        names = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            names.append(node.name)
            node = node.parent
        return b"/" + b"/".join(reversed(names))

    def is_told(self) -> bool:
        """True when the server knows this directory and every one above."""
        node: Node | None = self
        while node is not None:
            if not node.told:
                return False
            node = node.parent
        return True

    def below(self) -> Iterator["Node"]:
        """This node and every one below, without recursion."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            if node.children:
                stack.extend(node.children.values())


class WatchTree:
    """Every known directory, and which of them are watched. `active` keeps watches, least recently active first."""

    def __init__(self) -> None:
        self.root = Node(b"", None)
        self.by_wd: dict[int, Node] = {}
        self.active: OrderedDict[int, None] = OrderedDict()
        self.directories = 1

    @property
    def watched(self) -> int:
        """How many directories are watched."""
        return len(self.by_wd)

    def child(self, parent: Node, name: bytes) -> Node | None:
        """The known subdirectory of that name."""
        return parent.children.get(name) if parent.children else None

    def add(self, parent: Node, name: bytes) -> Node:
        """The subdirectory of that name, made when unknown."""
        if parent.children is None:
            parent.children = {}
        node = parent.children.get(name)
        if node is None:
            node = parent.children[name] = Node(name, parent)
            self.directories += 1
        return node

    def find(self, path: bytes) -> Node | None:
        """The known directory at a path within the root."""
        node: Node | None = self.root
        for name in path.split(b"/"):
            if name and node is not None:
                node = self.child(node, name)
        return node

    def bind(self, node: Node, wd: int) -> None:
        """Notes that a directory is watched. The kernel gives an inode one number: another node that held it loses it."""
        before = self.by_wd.get(wd)
        if before is not None and before is not node:
            before.wd = None
        if node.wd is not None and node.wd != wd:
            self.by_wd.pop(node.wd, None)
            self.active.pop(node.wd, None)
        node.wd = wd
        self.by_wd[wd] = node
        self.active[wd] = None

    def unbind(self, wd: int) -> Node | None:
        """Notes that a watch is gone. Returns whose it was."""
        node = self.by_wd.pop(wd, None)
        self.active.pop(wd, None)
        if node is not None:
            node.wd = None
        return node

    def touch(self, wd: int) -> None:
        """Notes activity: this watch becomes the last to be given up."""
        if wd in self.active:
            self.active.move_to_end(wd)

    def coldest(self) -> int | None:
        """The least recently active watch, never the root's."""
        return next((wd for wd in itertools.islice(self.active, 2) if wd != self.root.wd), None)

    def detach(self, node: Node) -> list[int]:
        """Takes a subtree out. Returns the watch numbers it held, already unbound."""
        assert node.parent is not None, "the root stays"
        assert node.parent.children is not None
        if node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]
        numbers = []
        for gone in node.below():
            self.directories -= 1
            if gone.wd is not None:
                numbers.append(gone.wd)
                self.unbind(gone.wd)
        return numbers

    def move(self, node: Node, parent: Node, name: bytes) -> list[int]:
        """Renames a directory. Returns the watch numbers of what it replaced."""
        replaced = self.child(parent, name)
        numbers = self.detach(replaced) if replaced is not None and replaced is not node else []
        assert node.parent is not None, "the root does not move"
        if node.parent.children and node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]
        node.parent, node.name = parent, name
        if parent.children is None:
            parent.children = {}
        parent.children[name] = node
        return numbers

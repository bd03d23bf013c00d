"""Finding single nodes and reading the files and directories of a place, by the keys of the node tables."""

from collections.abc import Iterator, Sequence

from apps.runtime.problems import Invalid, NotFound
from apps.views.models import Tree
from apps.views.queries import sql
from apps.views.queries.nodes import DirectoryNode, Namer, Node
from fustor_schema import paths

_D = sql.columns(sql.DIRECTORY_COLUMNS, "d")
_F = sql.columns(sql.FILE_COLUMNS, "f")


def directory_row(tree: Tree, key: str) -> sql.Row | None:
    """The directory at a path."""
    return sql.fetch_one(f"SELECT {_D} FROM {sql.DIRECTORY} d WHERE d.tree_id = %s AND d.path = %s", (tree.pk, key))


def file_row(tree: Tree, key: str) -> sql.Row | None:
    """The node at a path that is no directory."""
    return sql.fetch_one(
        f"SELECT {_F} FROM {sql.DIRECTORY} d JOIN {sql.FILE} f ON f.directory_id = d.id "
        "WHERE d.tree_id = %s AND d.path = %s AND f.name = %s",
        (tree.pk, paths.parent(key), paths.name(key)),
    )


def node_at(tree: Tree, key: str) -> Node | DirectoryNode:
    """The node at a path. Raises NotFound."""
    namer = Namer(tree)
    row = directory_row(tree, key)
    if row is not None:
        namer.learn([row])
        return namer.directory(row)
    row = file_row(tree, key)
    if row is None:
        raise absent(key)
    namer.learn([row])
    return namer.file(key, row)


def absent(key: str) -> NotFound:
    """The 404 of a path that the view does not hold."""
    return NotFound(
        f"The view holds nothing at {paths.display(key)}.",
        code="path_not_found",
        fix="Ask `explain` for this path why it is not there.",
    )


def directory_at(tree: Tree, key: str) -> sql.Row:
    """The row of the directory at a path. Raises NotFound, and Invalid when something else is there."""
    row = directory_row(tree, key)
    if row is None:
        raise no_directory(tree, key)
    return row


def no_directory(tree: Tree, key: str) -> NotFound | Invalid:
    """Why there is no directory at a path."""
    if file_row(tree, key) is None:
        return absent(key)
    return Invalid(f"{paths.display(key)} is no directory.", field="path", fix="Ask for the directory it is in.")


def nodes_at(tree: Tree, keys: Sequence[str]) -> dict[str, Node | DirectoryNode]:
    """The nodes at many paths, in two statements; absent paths are left out."""
    directories = sql.fetch(
        f"SELECT {_D} FROM {sql.DIRECTORY} d WHERE d.tree_id = %s AND {sql.one_of('d.path')}",
        (tree.pk, sql.bound(keys)),
    )
    files = file_rows(tree, keys, f"{_F}, d.path")
    namer = Namer(tree)
    namer.learn(directories)
    namer.learn([row[:-1] for row in files])
    found: dict[str, Node | DirectoryNode] = {row[1]: namer.directory(row) for row in directories}
    for row in files:
        key = paths.join(row[-1], row[1])
        found[key] = namer.file(key, row[:-1])
    return {key: found[key] for key in keys if key in found}


def file_rows(tree: Tree, keys: Sequence[str], columns: str) -> list[sql.Row]:
    """`columns` (of `f`, the file, and `d`, its directory) of the files among the paths, and of others with their names nearby."""
    return sql.fetch(
        f"SELECT {columns} FROM {sql.DIRECTORY} d CROSS JOIN {sql.FILE} f "
        f"WHERE f.directory_id = d.id AND d.tree_id = %s AND {sql.one_of('d.path')} AND {sql.one_of('f.name')}",
        (tree.pk, sql.bound(sorted({paths.parent(key) for key in keys})), sql.bound(sorted({paths.name(key) for key in keys}))),
    )


def entries_of(tree: Tree, key: str, after: str, limit: int) -> dict[str, Node | DirectoryNode]:
    """The entries directly in a directory, of every kind, by name: those behind a name, at most `limit`."""
    top = directory_row(tree, key)
    if top is None:
        return {}
    directories = sql.fetch(
        f"SELECT {_D} FROM {sql.DIRECTORY} d WHERE d.parent_id = %s AND d.name > %s ORDER BY d.name LIMIT %s",
        (top[0], after, limit),
    )
    namer = Namer(tree)
    namer.learn(directories)
    files = files_of(top[0], after, limit)
    found: dict[str, Node | DirectoryNode] = {paths.name(row[1]): namer.directory(row) for row in directories}
    found.update(zip((row[1] for row in files), namer.files(key, files), strict=True))
    return {name: found[name] for name in sorted(found)[:limit]}


def subdirectories(directory: int) -> list[sql.Row]:
    """The directories directly in a directory, by name."""
    return sql.fetch(f"SELECT {_D} FROM {sql.DIRECTORY} d WHERE d.parent_id = %s ORDER BY d.name", (directory,))


def directories_below(tree: Tree, key: str, after: str, limit: int, max_depth: int | None = None) -> list[sql.Row]:
    """Directories below a path, in path order, those after `after` only (empty: from the first), at most `max_depth` deep."""
    low, high = sql.below(key)
    depth, deepest = "", []
    if max_depth is not None:
        # the number of slashes in a path is its depth
        depth, deepest = "AND length(d.path) - length(replace(d.path, '/', '')) <= %s", [paths.depth(key) + max_depth]
    return sql.fetch(
        f"SELECT {_D} FROM {sql.DIRECTORY} d WHERE d.tree_id = %s AND d.path > %s AND d.path < %s {depth} ORDER BY d.path LIMIT %s",
        (tree.pk, max(low, after), high, *deepest, limit),
    )


def files_of(directory: int, after: str, limit: int) -> list[sql.Row]:
    """Files of one directory by name, those after a name only."""
    return sql.fetch(
        f"SELECT {_F} FROM {sql.FILE} f WHERE f.directory_id = %s AND f.name > %s ORDER BY f.name LIMIT %s",
        (directory, after, limit),
    )


def files_of_many(directories: Sequence[int], limit: int) -> list[sql.Row]:
    """Files of several directories by (directory, name), at most `limit`."""
    return sql.fetch(
        f"SELECT {_F} FROM {sql.FILE} f WHERE {sql.one_of('f.directory_id')} ORDER BY f.directory_id, f.name LIMIT %s",
        (sql.bound(directories), limit),
    )


def all_files_of(directory: int, chunk: int, after: str = "") -> Iterator[list[sql.Row]]:
    """The files of one directory behind a name, chunk by chunk; entries that come and go meanwhile may or may not be among them."""
    while rows := files_of(directory, after, chunk):
        yield rows
        after = rows[-1][1]

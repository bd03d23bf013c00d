"""Loads the working set of a checked batch in a few statements. Called by `apply` and `audits`."""

from collections import defaultdict
from collections.abc import Iterator

from apps.views import recognition
from apps.views.folder import Folder
from apps.views.intake import Intake, Op
from apps.views.working import WorkingSet
from fustor_schema import paths


def load(tree_id: int, checked: Intake, now_ms: int) -> WorkingSet:
    """The working set of a checked batch: parents and ancestors, the files under the claimed names, and directories that
    stand where a claim says there is something else."""
    wanted: set[str] = set()
    for op, _, directory, entries, _ in checked.claims:
        wanted.add(directory or paths.ROOT)
        if op is not Op.FILE and entries:
            wanted.add(paths.join(directory or paths.ROOT, entries[0][0]))
    for movement in checked.moves.values():
        wanted.update((movement.origin, movement.target, paths.parent(movement.origin), paths.parent(movement.target)))
    working = WorkingSet(tree_id, wanted, now_ms, checked.looked)
    _load_children(working, checked)
    return working


def _load_children(working: WorkingSet, checked: Intake) -> None:
    folders = working.folders
    names: defaultdict[Folder, list[str]] = defaultdict(list)
    maybe_directories: list[str] = []
    in_doubt: set[str] = set()
    for op, _, directory, entries, _ in checked.claims:
        folder = folders.get(directory)
        if folder is None:
            if directory:
                in_doubt.add(directory)
        elif op is Op.FILE:
            names[folder].extend([entry[0] for entry in entries])
            if folder.total_directories:
                maybe_directories.extend([paths.join(directory, entry[0]) for entry in entries])
        elif entries and paths.join(directory, entries[0][0]) not in folders:
            names[folder].append(entries[0][0])
    for movement in checked.moves.values():
        in_doubt.update(movement)
    for folder, name in _first_missing(folders, in_doubt):
        names[folder].append(name)
    if maybe_directories:
        working.load_exactly(maybe_directories)
    repeated = recognition.candidates(working, checked, names)
    recognition.recognise(checked.telling, repeated)
    working.load_files({folder: wanted for folder, wanted in names.items() if folder not in repeated})


def _first_missing(folders: dict[str, Folder], in_doubt: set[str]) -> Iterator[tuple[Folder, str]]:
    """Where a directory is missing, a file may stand: the stored folder above, and the name in it."""
    for path in in_doubt:
        while (above := paths.parent(path)) not in folders:
            path = above  # noqa: PLW2901 - climbs to the first stored ancestor
        yield folders[above], paths.name(path)

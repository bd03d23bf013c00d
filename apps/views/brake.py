"""The brake: an audit that would delete too much of a view, or of one subtree, is held (R21). Called by `audits`."""

from collections import Counter
from typing import Any

from apps.views.models import Directory, Tree
from fustor_schema import paths


def is_too_much(tree: Tree, gone: list[Any]) -> str:
    """Why the deletions must be held; empty when they may go. `gone`: rows of `store.listings.absences`."""
    view = tree.view
    taken: Counter[str] = Counter()
    for directory, name, _, is_directory, count in gone:
        for above in (directory, *paths.ancestors(directory)):
            taken[above] += count
        if is_directory:
            taken[paths.join(directory, name)] += count
    suspicious = [path for path, count in taken.items() if count > view.brake_rows]
    if not suspicious:
        return ""
    for path, files, directories in Directory.objects.filter(tree=tree, path__in=suspicious[:500]).values_list(
        "path", "total_files", "total_directories"
    ):
        if taken[path] > max(view.brake_rows, view.brake_share * (files + directories)):
            return f"{taken[path]} of {files + directories} nodes below {paths.display(path)} would go"
    return ""

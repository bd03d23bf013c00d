"""How much the trees of views hold: what would be gone with them. Asked by apps.pipes before a change of the configuration."""

from collections.abc import Collection
from typing import NamedTuple

from apps.views.models import Directory
from fustor_schema import paths


class Held(NamedTuple):
    """One tree. `member`: the pipe, in a forest, else empty; `rows`: files and directories below its root."""

    view: str
    member: str
    rows: int


def held_by(views: Collection[str]) -> list[Held]:
    """The trees of these views (by id) that hold anything, by view and member, in one statement."""
    roots = Directory.objects.filter(tree__view__slug__in=views, path=paths.ROOT).order_by("tree__view__slug", "tree__scope")
    found = roots.values_list("tree__view__slug", "tree__scope", "total_files", "total_directories")
    return [Held(view, member, files + directories) for view, member, files, directories in found if files + directories]

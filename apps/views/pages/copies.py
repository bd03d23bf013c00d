"""A directory of a whole forest in the explorer: the entries of all members side by side, as `compare` finds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.runtime import clock
from apps.runtime.console import PARTS_HEADER
from apps.runtime.problems import NotFound, Problem
from apps.views.forest import MemberState
from apps.views.pages import listing
from apps.views.pages.place import Place
from apps.views.queries.forests import Compared, Comparison, compare
from apps.views.queries.nodes import DirectoryNode, Node
from fustor_schema import paths

PAGE_SIZE = 200
DIFFERENCES = {
    "kind": gettext_noop("kind"),
    "size": gettext_noop("size"),
    "modified_time": gettext_noop("time"),
    "file_count": gettext_noop("files"),
    "directory_count": gettext_noop("directories"),
}


@dataclass(frozen=True)
class Row:
    """One name in all members. Sizes in bytes: of the smallest and the largest copy; a directory's is that of all below it."""

    name: str
    address: str
    is_directory: bool
    smallest: int
    largest: int
    newest: float | None
    present: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    differs: tuple[str, ...]


def side_by_side(request: HttpRequest, place: Place) -> HttpResponse:
    """The page; to a page that refreshes itself, the table alone."""
    only = request.GET.get("only") == "differences"
    context: dict[str, Any] = {"place": place, "only": only, "request": request, "crumbs": listing.crumbs(place.key)}
    try:
        found = compare(
            place.view, place.key, _name_behind(request.GET.get("at", "")), PAGE_SIZE, only_differences=only, now=clock.now()
        )
        sides = _sides(found)
        context |= {"found": found, "rows": [_row(entry) for entry in found.entries], "sides": sides}
        context["opens"] = any(side["opens"] for side in sides)
    except Problem as problem:
        context["problem"] = problem
    if PARTS_HEADER in request.headers:
        return JsonResponse({"parts": {"listing": render_to_string("views/parts/copies.html", context)}})
    return render(request, "views/tree.html", context, status=404 if isinstance(context.get("problem"), NotFound) else 200)


def _name_behind(text: str) -> str:
    """The name that a page begins behind; the beginning for anything that is none."""
    try:
        return paths.name(paths.from_base64(text)) if text else ""
    except paths.PathError:
        return ""


def _sides(found: Comparison) -> list[dict[str, Any]]:
    """What every member says of the directory itself, with whether it can be opened there."""
    return [{**side, "opens": isinstance(side["node"], DirectoryNode)} for side in found.members]


def _row(entry: Compared) -> Row:
    nodes = list(entry.copies.values())
    sizes = [_octets(node) for node in nodes]
    return Row(
        name=entry.name,
        address=listing.address(paths.from_base64(entry.path_b64) if entry.path_b64 else entry.path),
        is_directory=any(isinstance(node, DirectoryNode) for node in nodes),
        smallest=min(sizes),
        largest=max(sizes),
        newest=max((node.modified_time for node in nodes if node.modified_time is not None), default=None),
        present=_who(entry, MemberState.PRESENT),
        missing=_who(entry, MemberState.MISSING),
        unknown=_who(entry, MemberState.UNKNOWN),
        differs=_words(entry.differs),
    )


def _octets(node: Node | DirectoryNode) -> int:
    return node.total_size if isinstance(node, DirectoryNode) else node.size


def _who(entry: Compared, state: MemberState) -> tuple[str, ...]:
    return tuple(pipe for pipe, said in entry.states.items() if said == state)


def _words(differs: Sequence[str]) -> tuple[str, ...]:
    """In what the copies differ beyond where they are, which is told by name."""
    return tuple(_(DIFFERENCES[what]) for what in differs if what in DIFFERENCES)

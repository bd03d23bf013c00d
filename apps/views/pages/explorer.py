"""The explorer `/views/<slug>/tree/`: a lazy tree beside the table of one directory, live; a whole forest's copies side by side."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from apps.runtime.console import PARTS_HEADER, page
from apps.views.models import Directory
from apps.views.pages import copies, listing
from apps.views.pages.place import Place, place_of
from fustor_schema import paths

OPEN_LEVELS = 12


@dataclass(frozen=True)
class Twig:
    """One directory of the tree; `inside` is None until it is opened."""

    name: str
    address: str
    has_directories: bool
    here: bool
    inside: "list[Twig] | None"


@page()
def tree(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; to a page that refreshes itself, the table alone."""
    place = place_of(request, slug)
    if place.is_whole:
        return copies.side_by_side(request, place)
    sort, at = request.GET.get("sort", listing.BY_NAME), listing.Spot.read(request.GET.get("at", ""))
    found = listing.listing(place.tree, place.key, sort, at) if place.tree else None
    context: dict[str, Any] = {"place": place, "found": found, "request": request}
    if PARTS_HEADER in request.headers:
        return JsonResponse({"parts": {"listing": render_to_string("views/parts/listing.html", context)}})
    if found:
        context["twigs"] = _twigs(place)
    return render(request, "views/tree.html", context, status=200 if found or not place.tree else 404)


@page()
def branch(request: HttpRequest, slug: str) -> HttpResponse:
    """The directories below one path, for a branch of the tree that is opened."""
    place = place_of(request, slug)
    rows = listing.branch(place.tree, place.key) if place.tree else []
    return render(request, "views/parts/branch.html", {"place": place, "twigs": [_twig(row, None, "") for row in rows]})


def _twigs(place: Place) -> list[Twig]:
    """The tree from the root down to where the reader is, every directory on the way open. At most OPEN_LEVELS queries."""
    assert place.tree is not None
    chain = [place.key, *paths.ancestors(place.key)][-OPEN_LEVELS:]
    below: list[Twig] = []
    inside = ""
    for key in chain:
        rows = listing.branch(place.tree, key)
        below = [_twig(row, below if row.path == inside else None, place.key) for row in rows]
        inside = key
    return below


def _twig(row: Directory, inside: list[Twig] | None, here: str) -> Twig:
    return Twig(paths.display(row.name), listing.address(row.path), row.total_directories > 0, row.path == here, inside)

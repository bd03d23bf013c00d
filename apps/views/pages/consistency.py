"""The consistency page of a view (`/views/<slug>/consistency/`): what is doubtful, what is remembered, how audits went."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from apps.runtime.console import PARTS_HEADER, page
from apps.views.models import Audit, BlindSpot, Gap, Suspect, Tombstone, View
from apps.views.pages.place import place_of

PAGE_SIZE = 100


@dataclass(frozen=True)
class Shelf:
    """One kind of memory of a view: how to count it, and how to list it."""

    name: str
    rows: Callable[[View], QuerySet[Any]]


def _suspects(view: View) -> QuerySet[Suspect]:
    return Suspect.objects.filter(tree__view=view).order_by("until", "pk")


def _blind_spots(view: View) -> QuerySet[BlindSpot]:
    return BlindSpot.objects.filter(tree__view=view, closed_at=None).order_by("-pk")


def _tombstones(view: View) -> QuerySet[Tombstone]:
    return Tombstone.objects.filter(tree__view=view).order_by("-pk")


def _audits(view: View) -> QuerySet[Audit]:
    return Audit.objects.filter(tree__view=view).order_by("-started_at")


def _gaps(view: View) -> QuerySet[Gap]:
    return Gap.objects.filter(tree__view=view, closed_at=None).order_by("-opened_at")


SHELVES = {
    shelf.name: shelf
    for shelf in (
        Shelf("audits", _audits),
        Shelf("suspects", _suspects),
        Shelf("blind-spots", _blind_spots),
        Shelf("tombstones", _tombstones),
        Shelf("gaps", _gaps),
    )
}


@page()
def consistency(request: HttpRequest, slug: str) -> HttpResponse:
    """One shelf at a time, with the counts of all."""
    place = place_of(request, slug)
    shelf = SHELVES.get(request.GET.get("show", ""), SHELVES["audits"])
    rows = shelf.rows(place.view).select_related("tree")
    context = {
        "place": place,
        "shelf": shelf.name,
        "counts": [(name, other.rows(place.view).order_by().count()) for name, other in SHELVES.items()],
        "chunk": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "held": _audits(place.view).filter(state=Audit.State.HELD).select_related("tree"),
    }
    if PARTS_HEADER in request.headers:
        part = render_to_string("views/parts/consistency.html", {**context, "request": request})
        return JsonResponse({"parts": {"consistency": part}})
    return render(request, "views/consistency.html", context)

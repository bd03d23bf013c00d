"""Inspect a path (`/views/<slug>/inspect/`): which rule decided it, from which session, when; what was refused, and why."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.runtime import clock
from apps.runtime.console import page
from apps.runtime.problems import NotFound, Problem
from apps.views.models import Tree
from apps.views.pages.place import Place, place_of
from apps.views.queries.explain import explain
from apps.views.queries.forest_insight import explain_all
from apps.views.queries.settled import settled
from apps.views.queries.whole_forest import settled_all


@page()
def inspect(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; a path that is not there is explained too. A whole forest is explained member by member."""
    place = place_of(request, slug)
    context: dict[str, Any] = {"place": place}
    if place.is_whole:
        context |= _of_all(place)
    elif place.tree:
        why = explain(place.tree, place.key)
        has_blind_spot = any(spot["closed_at"] is None for spot in why["blind_spots"])
        context |= {"why": why, "verdict": _verdict(place.tree, place.key), "has_blind_spot": has_blind_spot}
    return render(request, "views/inspect.html", context)


def _verdict(tree: Tree, key: str) -> dict[str, Any] | None:
    try:
        return settled(tree, key, None, clock.now())
    except NotFound:
        return None


def _of_all(place: Place) -> dict[str, Any]:
    now = clock.now()
    try:
        why, _ = explain_all(place.view, place.key, now)
    except Problem as problem:
        return {"problem": problem}
    try:
        return {"of_all": why, "verdict": settled_all(place.view, place.key, None, now)}
    except NotFound:
        return {"of_all": why}

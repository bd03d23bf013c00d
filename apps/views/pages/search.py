"""Searching one view (`/views/<slug>/search/`) and all of them (`/locate/`)."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.runtime import clock
from apps.runtime.console import page
from apps.runtime.problems import Problem
from apps.views.pages.place import Place, place_of, reader
from apps.views.queries.locate import Places, locate
from apps.views.queries.matching import Filters, Mode, Pattern
from apps.views.queries.search import Hits, SearchQuestion, search
from apps.views.queries.whole_forest import search_all
from fustor_schema import paths

PAGE_SIZE = 100
LOCATE_HITS = 50
MARKS = {"suspect": Filters(suspect=True), "blind": Filters(agent_missing=True)}


@page()
def in_view(request: HttpRequest, slug: str) -> HttpResponse:
    """Hits below a path of one view, in pages; of a forest in all its members, or in the one that the reader chose."""
    place = place_of(request, slug)
    words, marks = request.GET.get("q", "").strip(), request.GET.get("marks", "")
    context: dict[str, Any] = {"place": place, "words": words, "marks": marks}
    if place.tree and (words or marks in MARKS):
        context |= _hits(place, words, marks, request.GET.get("cursor"))
    return render(request, "views/search.html", context)


def _hits(place: Place, words: str, marks: str, cursor: str | None) -> dict[str, Any]:
    question = SearchQuestion(Pattern(words or "*", Mode.AUTO, ignore_case=True), place.key, MARKS.get(marks, Filters()))
    try:
        if place.is_whole:
            listed = search_all(place.view, question, cursor, PAGE_SIZE, clock.now())
            return {"hits": listed.entries, "next_cursor": listed.next_cursor, "unsearched": listed.unsearched}
        assert place.tree is not None
        hits: Hits = search(place.tree, question, cursor, PAGE_SIZE)
    except Problem as problem:
        return {"problem": problem}
    return {"hits": hits.nodes, "next_cursor": hits.next_cursor}


@page()
def everywhere(request: HttpRequest) -> HttpResponse:
    """`/locate/`: every place of a name or path, with whether it is settled."""
    words = request.GET.get("q", "").strip()
    context: dict[str, Any] = {"words": words}
    if words:
        context |= _places(request, words)
    template = "locate/parts/places.html" if request.headers.get("HX-Request") else "locate/index.html"
    return render(request, template, context)


def _places(request: HttpRequest, words: str) -> dict[str, Any]:
    try:
        found: Places = locate(reader(request), question_of(words), LOCATE_HITS, None, clock.now())
    except Problem as problem:
        return {"problem": problem}
    counts = {state: sum(hit.state == state for hit in found.hits) for state in ("settled", "changing", "unknown")}
    return {"found": found, "counts": counts, "query_words": urlencode({"q": words})}


def question_of(words: str) -> SearchQuestion | str:
    """A whole path is looked up, anything else is searched for."""
    if words.startswith("/") and not any(sign in words for sign in "*?["):
        try:
            return paths.normalise(words)
        except paths.PathError:
            # what is no good path is still a good text to search for
            return SearchQuestion(Pattern(words, Mode.LITERAL, ignore_case=True))
    return SearchQuestion(Pattern(words, Mode.AUTO, ignore_case=True))

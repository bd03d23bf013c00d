"""Orders on many rows of a list at once: those that were ticked, or all that match the filters of the URL.

The first request shows what would happen, naming count and consequence; the second, with the same rows, does it. Each app names its
orders; the page functions stand in its `pages`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.runtime.console import allowed
from apps.runtime.listing import ListSpec, Words, matching
from apps.runtime.problems import Problem

MOST = 10_000
NAMED = 20


@dataclass(frozen=True)
class Order:
    """One order. `question` has `%(count)s`; `act` gets the request and the rows, and returns what came of it in words."""

    words: Words
    question: Words
    consequence: Words
    verb: str
    act: Callable[[HttpRequest, Sequence[Any]], str]
    picture: str = "check"
    is_bad: bool = False


@dataclass(frozen=True)
class Bulk:
    """The orders of one list: its rows (those that the person may see), what the URL can filter, the name of its URL."""

    spec: ListSpec
    rows: Callable[[HttpRequest], QuerySet[Any]]
    orders: Mapping[str, Order]
    listed: str
    named: Callable[[Any], str] = str


def offered(request: HttpRequest, orders: Mapping[str, Order]) -> list[tuple[str, Order]]:
    """The orders that the reader may give; others are not shown."""
    return [(name, order) for name, order in orders.items() if allowed(request.user, order.verb)]


def give(request: HttpRequest, bulk: Bulk) -> HttpResponse:
    """Answer the POST of a list: ask first, then do."""
    name = request.POST.get("order", "")
    order = bulk.orders.get(name)
    if order is None:
        raise Http404(f"There is no order {name!r}.")
    if not allowed(request.user, order.verb):
        raise PermissionDenied
    back = f"{reverse(bulk.listed)}?{_filters(request, bulk)}"
    rows = list(_meant(request, bulk)[: MOST + 1])
    if not rows:
        messages.warning(request, _("Nothing is chosen: tick some rows, or choose all that match."))
        return redirect(back)
    if len(rows) > MOST:
        messages.error(request, _("More than %(most)s rows at once are not possible; filter first.") % {"most": MOST})
        return redirect(back)
    if request.POST.get("confirmed") != str(len(rows)):
        return _question(request, bulk, name, order, rows, back)
    try:
        messages.success(request, order.act(request, rows))
    except Problem as problem:
        messages.error(request, f"{problem.detail} {problem.fix or ''}".strip())
    return redirect(back)


def _meant(request: HttpRequest, bulk: Bulk) -> QuerySet[Any]:
    if "all" in request.POST:
        return matching(bulk.rows(request), request.GET, bulk.spec)
    picked = request.POST.getlist("pick")
    return matching(bulk.rows(request), request.GET, bulk.spec).filter(**{f"{bulk.spec.key}__in": picked})


def _question(request: HttpRequest, bulk: Bulk, name: str, order: Order, rows: Sequence[Any], back: str) -> HttpResponse:
    context = {
        "name": name,
        "order": order,
        "title": order.question % {"count": len(rows)},
        "count": len(rows),
        "changed": "confirmed" in request.POST,
        "shown": [bulk.named(row) for row in rows[:NAMED]],
        "more": max(0, len(rows) - NAMED),
        "picked": [] if "all" in request.POST else request.POST.getlist("pick"),
        "back": back,
    }
    return render(request, "console/bulk.html", context)


def _filters(request: HttpRequest, bulk: Bulk) -> str:
    """The filters, sort and size of the list, so that the person comes back to the same rows."""
    kept = (*bulk.spec.names, "sort", "size")
    return urlencode([(name, value) for name, value in request.GET.items() if name in kept])

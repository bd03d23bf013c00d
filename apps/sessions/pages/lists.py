"""Pages that list what happens: pipes, views, sessions, jobs; all of it lives in the URL (apps.runtime.listing).

The orders of these lists are in apps.sessions.pages.bulk; the list of agents is in apps.sessions.pages.agents.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.runtime import clock
from apps.runtime.bulk import offered
from apps.runtime.console import page
from apps.runtime.listing import Listing, listing
from apps.sessions.boards import lines
from apps.sessions.boards.fleet import pipe_lines, view_lines
from apps.sessions.pages import bulk, tables
from apps.sessions.sight import sight_of


@page()
def pipes(request: HttpRequest) -> HttpResponse:
    """`/pipes/`."""
    found = listing(tables.pipe_rows(request), request.GET, tables.PIPES)
    return shown(request, "pipes", "pipes/list.html", found, lines=pipe_lines(sight_of(request.user), list(found.chunk)))


@page()
def views(request: HttpRequest) -> HttpResponse:
    """`/views/`."""
    found = listing(tables.view_rows(request), request.GET, tables.VIEWS)
    return shown(request, "views", "views/list.html", found, lines=view_lines(sight_of(request.user), list(found.chunk)))


@page()
def sessions(request: HttpRequest) -> HttpResponse:
    """`/sessions/`: the living at first, the ended on request."""
    found = listing(tables.session_rows(request), request.GET, tables.SESSIONS)
    return shown(request, "sessions", "sessions/list.html", found, lines=lines.session_lines(found.chunk, sight_of(request.user)))


@page()
def jobs(request: HttpRequest) -> HttpResponse:
    """`/jobs/`."""
    sight, now = sight_of(request.user), clock.now_datetime()
    found = listing(tables.job_rows(request), request.GET, tables.JOBS)
    return shown(request, "jobs", "jobs/list.html", found, lines=[lines.job_line(job, sight, now) for job in found.chunk])


def shown(request: HttpRequest, name: str, template: str, found: Listing[Any], **context: Any) -> HttpResponse:
    """The page of a list with the orders that the reader may give."""
    frame = {"list": found, "orders": offered(request, bulk.ORDERS[name]), "bulk_url": reverse(f"bulk_{name}")}
    return render(request, template, {**frame, **context})

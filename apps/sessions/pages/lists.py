"""Pages that list: pipes, views, sessions, jobs. Filters, search, sort and page live in the URL."""

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.runtime import clock
from apps.runtime.console import page
from apps.sessions.boards import lines
from apps.sessions.boards.fleet import pipe_lines, view_lines
from apps.sessions.models import Job
from apps.sessions.sight import sight_of

PAGE_SIZE = 50


@page()
def pipes(request: HttpRequest) -> HttpResponse:
    """`/pipes/`."""
    return render(request, "pipes/list.html", {"pipes": pipe_lines(sight_of(request.user))})


@page()
def views(request: HttpRequest) -> HttpResponse:
    """`/views/`."""
    return render(request, "views/list.html", {"views": view_lines(sight_of(request.user))})


@page()
def sessions(request: HttpRequest) -> HttpResponse:
    """`/sessions/`: the living first choice, the ended on request."""
    sight = sight_of(request.user)
    shown = "ended" if request.GET.get("show") == "ended" else "live"
    found = lines.sessions(sight).filter(ended_at__isnull=shown == "live")
    words = request.GET.get("q", "").strip()
    if words:
        found = found.filter(Q(task_id__icontains=words) | Q(pipe__slug__icontains=words))
    chunk = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    counts = {
        "live": sight.sessions().filter(ended_at=None).count(),
        "ended": sight.sessions().exclude(ended_at=None).count(),
    }
    context = {"chunk": chunk, "lines": lines.session_lines(chunk, sight), "counts": counts, "shown": shown}
    return render(request, "sessions/list.html", {**context, "words": words})


@page()
def jobs(request: HttpRequest) -> HttpResponse:
    """`/jobs/`."""
    sight = sight_of(request.user)
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    found = _jobs_of_kind(lines.jobs(sight), kind)
    counts = dict(_jobs_of_kind(sight.jobs().order_by(), kind).values_list("state").annotate(Count("pk")))
    if state in Job.State.values:
        found = found.filter(state=state)
    chunk = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    now = clock.now_datetime()
    context = {
        "chunk": chunk,
        "lines": [lines.job_line(job, sight, now) for job in chunk],
        "states": [(value, label, counts.get(value, 0)) for value, label in Job.State.choices],
        "kinds": Job.Kind.choices,
        "state": state,
        "kind": kind,
        "total": sum(counts.values()),
    }
    return render(request, "jobs/list.html", context)


def _jobs_of_kind(found: QuerySet[Job], kind: str) -> QuerySet[Job]:
    return found.filter(kind=kind) if kind in Job.Kind.values else found

"""Pages that show one board each: the overview, and one pipe, view, session or job."""

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.pipes.permissions import Verb
from apps.runtime.console import page
from apps.runtime.problems import NotFound
from apps.sessions import setup
from apps.sessions.boards.agent import AgentBoard
from apps.sessions.boards.base import Board, board_page
from apps.sessions.boards.fleet import FleetBoard
from apps.sessions.boards.job import JobBoard
from apps.sessions.boards.pipe import PipeBoard
from apps.sessions.boards.rollout import RolloutBoard
from apps.sessions.boards.session import SessionBoard
from apps.sessions.boards.view import ViewBoard
from apps.sessions.sight import sight_of


@page()
def overview(request: HttpRequest) -> HttpResponse:
    """`/`: everything at a glance; an admin of an empty installation is led through set-up first."""
    if setup.invites(request):
        return redirect("setup")
    return board_page(request, FleetBoard(sight=sight_of(request.user)), "overview/index.html")


@page()
def pipe(request: HttpRequest, slug: str) -> HttpResponse:
    """`/pipes/<slug>/`; `?page=` of its live sessions."""
    asked = request.GET.get("page", "")
    page_number = int(asked) if asked.isdecimal() and len(asked) < 6 else 1
    return _existing(request, PipeBoard(slug, max(1, page_number), sight=sight_of(request.user)), "pipes/detail.html")


@page()
def view(request: HttpRequest, slug: str) -> HttpResponse:
    """`/views/<slug>/`."""
    return _existing(request, ViewBoard(slug, sight=sight_of(request.user)), "views/detail.html")


@page()
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    """`/agents/<id>/`."""
    return _existing(request, AgentBoard(slug, sight=sight_of(request.user)), "agents/detail.html")


@page()
def session(request: HttpRequest, number: int) -> HttpResponse:
    """`/sessions/<number>/`."""
    return _existing(request, SessionBoard(number, sight=sight_of(request.user)), "sessions/detail.html")


@page()
def job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """`/jobs/<id>/`."""
    return _existing(request, JobBoard(job_id, sight=sight_of(request.user)), "jobs/detail.html")


@page(Verb.SURVEY)
def rollout(request: HttpRequest, number: int) -> HttpResponse:
    """`/changes/<number>/rollout/`."""
    return _existing(request, RolloutBoard(number, sight=sight_of(request.user)), "rollouts/detail.html")


def _existing(request: HttpRequest, board: Board, template: str, **context: object) -> HttpResponse:
    try:
        return board_page(request, board, template, **context)
    except NotFound as problem:
        raise Http404(problem.detail) from problem

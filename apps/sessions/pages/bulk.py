"""Orders on many rows of the lists of apps.sessions. Each asks first (apps.runtime.bulk)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy
from django.views.decorators.http import require_POST

from apps.pipes.models import Agent, Pipe
from apps.pipes.pages.bulk import objects, switches
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import Verb
from apps.pipes.services import pause_pipe
from apps.runtime.bulk import Bulk, Order, give
from apps.runtime.console import page
from apps.runtime.problems import Problem
from apps.sessions.models import Job, Session
from apps.sessions.pages import tables
from apps.sessions.services import commands, jobs, phases, retries, sessions


def _each(rows: Iterable[Any], act: Callable[[Any], object]) -> str:
    """Give an order to each row by itself; one that is refused does not stop the others. What came of it, in words."""
    done, refused = 0, []
    for row in rows:
        try:
            act(row)
            done += 1
        except Problem as problem:
            refused.append(f"{row}: {problem.detail}")
    told = _("Done for %(count)s.") % {"count": done}
    if refused:
        told += " " + _("Refused for %(count)s, first: %(reason)s") % {"count": len(refused), "reason": refused[0]}
    return told


def _pause(request: HttpRequest, rows: Sequence[Pipe], *, paused: bool) -> str:
    return _each(rows, lambda pipe: pause_pipe(pipe, paused=paused, actor=actor_of(request)))


def _audit(request: HttpRequest, rows: Sequence[Pipe]) -> str:
    return _each(rows, lambda pipe: phases.run_now(pipe, Job.Kind.AUDIT, request.user.get_username()))


def _reload(request: HttpRequest, rows: Sequence[Agent]) -> str:
    asked = commands.reload_agents([row.slug for row in rows])
    words = ngettext("%(count)s connected agent is asked to reload.", "%(count)s connected agents are asked to reload.", asked)
    return words % {"count": asked}


def _end(request: HttpRequest, rows: Sequence[Session]) -> str:
    ended = sum(sessions.end(row, Session.EndCause.ENDED) for row in rows)
    return ngettext("%(count)s session is ended.", "%(count)s sessions are ended.", ended) % {"count": ended}


ORDERS: dict[str, dict[str, Order]] = {
    "pipes": {
        "pause": Order(
            gettext_lazy("Pause"),
            ngettext_lazy("Pause %(count)s pipe?", "Pause %(count)s pipes?", "count"),
            gettext_lazy("Events are refused until they are resumed. Agents keep them; their views grow stale meanwhile."),
            Verb.CONTROL,
            lambda request, rows: _pause(request, rows, paused=True),
            "player-pause",
        ),
        "resume": Order(
            gettext_lazy("Resume"),
            ngettext_lazy("Resume %(count)s pipe?", "Resume %(count)s pipes?", "count"),
            gettext_lazy("They take events again; agents send what they kept."),
            Verb.CONTROL,
            lambda request, rows: _pause(request, rows, paused=False),
            "player-play",
        ),
        "audit": Order(
            gettext_lazy("Audit now"),
            ngettext_lazy("Audit %(count)s pipe now?", "Audit %(count)s pipes now?", "count"),
            gettext_lazy("Each leader lists its source again. What is proven to be gone is deleted, within the brake."),
            Verb.RUN,
            _audit,
            "radar",
        ),
        **switches(
            objects("pipes"),
            enable=(
                ngettext_lazy("Enable %(count)s pipe?", "Enable %(count)s pipes?", "count"),
                gettext_lazy("Agents with a key of theirs may open sessions again."),
            ),
            disable=(
                ngettext_lazy("Disable %(count)s pipe?", "Disable %(count)s pipes?", "count"),
                gettext_lazy("Their live sessions end and no new one is opened. Their views are served as last known."),
            ),
        ),
    },
    "views": switches(
        objects("views"),
        enable=(
            ngettext_lazy("Enable %(count)s view?", "Enable %(count)s views?", "count"),
            gettext_lazy("They answer questions and take events again."),
        ),
        disable=(
            ngettext_lazy("Disable %(count)s view?", "Disable %(count)s views?", "count"),
            gettext_lazy("They answer no question and take nothing in. What they know is kept."),
        ),
    ),
    "agents": {
        "reload": Order(
            gettext_lazy("Reload configuration"),
            ngettext_lazy(
                "Have %(count)s agent fetch its configuration?", "Have %(count)s agents fetch their configuration?", "count"
            ),
            gettext_lazy("Those that are connected ask with their next heartbeat; only pipes that differ restart."),
            Verb.CONTROL,
            _reload,
            "refresh",
        ),
        **switches(
            objects("agents"),
            enable=(
                ngettext_lazy("Enable %(count)s agent?", "Enable %(count)s agents?", "count"),
                gettext_lazy("They get their pipes back and may open sessions."),
            ),
            disable=(
                ngettext_lazy("Disable %(count)s agent?", "Disable %(count)s agents?", "count"),
                gettext_lazy("All their pipes stop and their sessions end; other agents of the same views go on."),
            ),
        ),
    },
    "sessions": {
        "end": Order(
            gettext_lazy("End"),
            ngettext_lazy("End %(count)s session?", "End %(count)s sessions?", "count"),
            gettext_lazy("Their agents open new sessions with the next heartbeat. Where one leads, another takes over."),
            Verb.CONTROL,
            _end,
            "plug-x",
            is_bad=True,
        ),
    },
    "jobs": {
        "cancel": Order(
            gettext_lazy("Cancel"),
            ngettext_lazy("Cancel %(count)s job?", "Cancel %(count)s jobs?", "count"),
            gettext_lazy("Their workers stop at the next report. A scan that is stopped deletes nothing."),
            Verb.RUN,
            lambda request, rows: _each(rows, lambda job: jobs.cancel(job, request.user.get_username())),
            "player-stop",
            is_bad=True,
        ),
        "retry": Order(
            gettext_lazy("Retry"),
            ngettext_lazy("Run %(count)s job again?", "Run %(count)s jobs again?", "count"),
            gettext_lazy("Each becomes a new job with the same target."),
            Verb.RUN,
            lambda request, rows: _each(rows, lambda job: retries.retry(job, request.user.get_username())),
            "refresh",
        ),
    },
}


@require_POST
@page(Verb.RUN)
def of_pipes(request: HttpRequest) -> HttpResponse:
    """Orders on many pipes."""
    return give(request, Bulk(tables.PIPES, tables.pipe_rows, ORDERS["pipes"], "pipes"))


@require_POST
@page(Verb.CONFIGURE)
def of_views(request: HttpRequest) -> HttpResponse:
    """Orders on many views."""
    return give(request, Bulk(tables.VIEWS, tables.view_rows, ORDERS["views"], "views"))


@require_POST
@page(Verb.CONTROL)
def of_agents(request: HttpRequest) -> HttpResponse:
    """Orders on many agents."""
    return give(request, Bulk(tables.AGENTS, tables.agent_rows, ORDERS["agents"], "agents"))


@require_POST
@page(Verb.CONTROL)
def of_sessions(request: HttpRequest) -> HttpResponse:
    """Orders on many sessions."""
    bulk = Bulk(tables.SESSIONS, tables.session_rows, ORDERS["sessions"], "sessions", lambda row: row.task_id)
    return give(request, bulk)


@require_POST
@page(Verb.RUN)
def of_jobs(request: HttpRequest) -> HttpResponse:
    """Orders on many jobs."""
    return give(request, Bulk(tables.JOBS, tables.job_rows, ORDERS["jobs"], "jobs", _named))


def _named(job: Job) -> str:
    return f"{job.get_kind_display()} {job.path}"

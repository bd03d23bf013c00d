"""What the lists of apps.sessions hold and can do: rows, filters, search, sorts. Used by the lists and by orders on many rows."""

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.pipes.models import Agent, Pipe, PipeView
from apps.runtime.listing import Choice, ListSpec, Tab
from apps.sessions.boards import lines
from apps.sessions.models import Job, Session
from apps.sessions.sight import sight_of
from apps.views.models import View

PIPES = ListSpec(
    sorts={"id": ("slug",), "receiver": ("receiver__slug", "slug"), "changed": ("-updated_at",)},
    search=("slug", "name", "receiver__slug"),
    search_words=_("Pipe or receiver"),
    tabs=(
        Tab("connected", _("Connected"), Q(enabled=True, receiver__enabled=True, paused=False, has_live=True)),
        Tab("alone", _("No agent"), Q(enabled=True, receiver__enabled=True, paused=False, has_live=False)),
        Tab("paused", _("Paused"), Q(enabled=True, paused=True)),
        Tab("off", _("Off"), Q(enabled=False) | Q(receiver__enabled=False)),
    ),
    key="slug",
)
VIEWS = ListSpec(
    sorts={"id": ("slug",), "changed": ("-updated_at",)},
    search=("slug", "name"),
    search_words=_("View"),
    tabs=(
        Tab("fed", _("Fed"), Q(enabled=True, is_fed=True)),
        Tab("unfed", _("Not fed"), Q(enabled=True, is_fed=False)),
        Tab("off", _("Off"), Q(enabled=False)),
    ),
    key="slug",
)
_DRIFTED = Q(enrolled_at__isnull=False) & (~Q(reported_error="") | Q(reported_revision__lt=F("desired_revision")))
AGENTS = ListSpec(
    sorts={
        "id": ("slug",),
        "seen": ("-last_seen_at",),
        "version": ("agent_version", "slug"),
        "enrolled": ("-enrolled_at",),
        "revision": ("-reported_revision", "slug"),
    },
    search=("slug", "hostname", "name", "agent_version"),
    search_words=_("Agent, host or version"),
    tabs=(
        Tab("connected", _("Connected"), Q(enabled=True, has_live=True)),
        Tab("away", _("Away"), Q(enabled=True, has_live=False)),
        Tab("drifted", _("Configuration outdated"), _DRIFTED),
        Tab("off", _("Off"), Q(enabled=False)),
    ),
    key="slug",
)
SESSIONS = ListSpec(
    sorts={
        "opened": ("-created_at",),
        "task": ("task_id",),
        "pipe": ("pipe__slug", "task_id"),
        "events": ("-events",),
        "rows": ("-rows",),
        "heard": ("-last_active_at",),
    },
    search=("task_id", "pipe__slug", "agent_name"),
    search_words=_("Task id or pipe"),
    tabs=(Tab("live", _("Live"), Q(ended_at=None)), Tab("ended", _("Ended"), Q(ended_at__isnull=False))),
    tab="live",
    key="number",
)
JOBS = ListSpec(
    sorts={"created": ("-created_at",), "kind": ("kind", "-created_at"), "pipe": ("pipe__slug", "-created_at")},
    search=("path", "pipe__slug", "actor", "error"),
    search_words=_("Path, pipe, person or error"),
    tabs=tuple(Tab(value, label, Q(state=value)) for value, label in Job.State.choices),
    choices=(Choice("kind", _("Every kind"), Job.Kind.choices, "kind"),),
    key="pk",
)


def pipe_rows(request: HttpRequest) -> QuerySet[Pipe]:
    """The pipes in sight; `has_live`: whether a session is live."""
    live = Session.objects.filter(pipe=OuterRef("pk"), ended_at=None)
    return sight_of(request.user).pipes().select_related("receiver").prefetch_related("views").annotate(has_live=Exists(live))


def view_rows(request: HttpRequest) -> QuerySet[View]:
    """The views in sight; `is_fed`: whether a pipe that is on feeds it."""
    fed = PipeView.objects.filter(view=OuterRef("pk"), pipe__enabled=True)
    return sight_of(request.user).views().annotate(is_fed=Exists(fed))


def agent_rows(request: HttpRequest) -> QuerySet[Agent]:
    """The agents in sight; `has_live`: whether a session of theirs is live."""
    live = Session.objects.filter(agent_name=OuterRef("slug"), ended_at=None)
    return sight_of(request.user).agents().annotate(has_live=Exists(live))


def session_rows(request: HttpRequest) -> QuerySet[Session]:
    """The sessions in sight with what a line needs."""
    return lines.sessions(sight_of(request.user))


def job_rows(request: HttpRequest) -> QuerySet[Job]:
    """The jobs in sight with what a line needs."""
    return lines.jobs(sight_of(request.user))

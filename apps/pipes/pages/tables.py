"""What the lists of apps.pipes hold and can do: rows, filters, search, sorts. Used by the lists and by orders on many rows."""

from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.pipes.models import AgentPipe, ApiKey, KeyKind, Pipe, Receiver, Sender, Source
from apps.pipes.permissions import is_restricted, visible_views
from apps.runtime import clock
from apps.runtime.listing import Choice, ListSpec, Tab

ON_OR_OFF = (Tab("on", _("On"), Q(enabled=True)), Tab("off", _("Off"), Q(enabled=False)))
BY_ID = {"id": ("slug",), "changed": ("-updated_at",)}

RECEIVERS = ListSpec(
    sorts=BY_ID | {"driver": ("driver", "slug"), "keys": ("-usable_keys", "slug")},
    search=("slug", "name"),
    search_words=_("Receiver"),
    tabs=ON_OR_OFF,
    key="slug",
)
_USED = (*ON_OR_OFF, Tab("unused", _("Used by no agent"), Q(used=0)))
SOURCES = ListSpec(
    sorts=BY_ID | {"driver": ("driver", "slug"), "uri": ("uri", "slug"), "used": ("-used", "slug")},
    search=("slug", "name", "uri"),
    search_words=_("Source or path"),
    tabs=_USED,
    key="slug",
)
SENDERS = ListSpec(sorts=SOURCES.sorts, search=SOURCES.search, search_words=_("Sender or address"), tabs=_USED, key="slug")
AGENT_PIPES = ListSpec(
    sorts={
        "agent": ("agent__slug", "slug"),
        "id": ("slug", "agent__slug"),
        "source": ("source__slug", "agent__slug"),
        "sender": ("sender__slug", "agent__slug"),
        "pipe": ("pipe__slug", "agent__slug"),
        "changed": ("-updated_at",),
    },
    search=("slug", "agent__slug", "agent__hostname", "source__slug", "source__uri", "pipe__slug"),
    search_words=_("Agent, source, path or pipe"),
    tabs=ON_OR_OFF,
)


def keys_spec() -> ListSpec:
    """The list of keys; what is expired depends on the time."""
    is_expired = Q(expires_at__lte=clock.now_datetime())
    in_force = Q(revoked_at=None)
    return ListSpec(
        sorts={
            "made": ("-created_at",),
            "key": ("prefix",),
            "name": ("name", "prefix"),
            "kind": ("kind", "prefix"),
            "used": ("-last_used_at",),
            "expires": ("expires_at",),
        },
        search=("name", "prefix", "ref", "last_four", "created_by"),
        search_words=_("Key, name or who made it"),
        tabs=(
            Tab("usable", _("Usable"), in_force & (Q(expires_at=None) | ~is_expired)),
            Tab("expired", _("Expired"), in_force & is_expired),
            Tab("revoked", _("Revoked"), Q(revoked_at__isnull=False)),
        ),
        tab="usable",
        choices=(Choice("kind", _("Every kind"), [(value, label.partition(":")[0]) for value, label in KeyKind.choices], "kind"),),
        key="ref",
    )


def receiver_rows(request: HttpRequest) -> QuerySet[Receiver]:
    """The receivers; to a restricted viewer, those of the pipes that feed a view in sight, and the keys of these pipes."""
    found, pipes, usable = Receiver.objects.all(), Pipe.objects.all(), Q(keys__revoked_at=None)
    if is_restricted(request.user):
        pipes = pipes.filter(pk__in=Pipe.objects.filter(views__in=visible_views(request.user)).values("pk"))
        found = found.filter(pk__in=pipes.values("receiver"))
        usable &= Q(keys__pipes__in=pipes)
    return found.prefetch_related(Prefetch("pipes", pipes)).annotate(usable_keys=Count("keys", filter=usable, distinct=True))


def source_rows(request: HttpRequest) -> QuerySet[Source]:
    """The sources, with how many agent pipes use them."""
    return Source.objects.annotate(used=Count("agent_pipes"))


def sender_rows(request: HttpRequest) -> QuerySet[Sender]:
    """The senders, with how many agent pipes use them."""
    return Sender.objects.annotate(used=Count("agent_pipes"))


def agent_pipe_rows(request: HttpRequest) -> QuerySet[AgentPipe]:
    """The agent pipes with what they connect."""
    return AgentPipe.objects.select_related("agent", "source", "sender", "pipe")


def key_rows(request: HttpRequest) -> QuerySet[ApiKey]:
    """The keys with what they are for."""
    return ApiKey.objects.select_related("receiver", "agent").prefetch_related("pipes", "views")

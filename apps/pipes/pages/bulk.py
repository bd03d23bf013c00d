"""Orders on many rows of the lists of apps.pipes: switch on and off, revoke. Each asks first (apps.runtime.bulk)."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy
from django.views.decorators.http import require_POST

from apps.pipes import services
from apps.pipes.models import AgentPipe, ApiKey, Revision
from apps.pipes.pages import tables
from apps.pipes.pages.people import actor_of, author_of
from apps.pipes.permissions import Verb
from apps.runtime.bulk import Bulk, Order, give
from apps.runtime.console import page


def told(revision: Revision | None) -> str:
    """What came of switching."""
    if revision is None:
        return _("Nothing to change: they are like that already.")
    return _("Done as revision %(number)s.") % {"number": revision.number}


def switch(kind: str, *, enabled: bool, question: Any, consequence: Any) -> Order:
    """The order to switch objects of one kind on or off, as one revision."""

    def act(request: HttpRequest, rows: Sequence[Any]) -> str:
        _plan, revision = services.switch_objects(kind, [row.slug for row in rows], enabled=enabled, author=author_of(request, ""))
        return told(revision)

    words, picture = (gettext_lazy("Enable"), "player-play") if enabled else (gettext_lazy("Disable"), "player-stop")
    return Order(words, question, consequence, Verb.CONFIGURE, act, picture, is_bad=not enabled)


def _switch_agent_pipes(request: HttpRequest, rows: Sequence[AgentPipe], *, enabled: bool) -> str:
    wanted = [(row.agent.slug, row.slug) for row in rows]
    _plan, revision = services.switch_agent_pipes(wanted, enabled=enabled, author=author_of(request, ""))
    return told(revision)


def _revoke(request: HttpRequest, rows: Sequence[ApiKey]) -> str:
    count = services.revoke_keys(actor_of(request), rows)
    return ngettext("%(count)s key is revoked.", "%(count)s keys are revoked.", count) % {"count": count}


_AGAIN = gettext_lazy("Agents that use them get their configuration anew; only the pipes concerned restart.")
ORDERS: dict[str, dict[str, Order]] = {
    "receivers": {
        "enable": switch(
            "receivers",
            enabled=True,
            question=ngettext_lazy("Enable %(count)s receiver?", "Enable %(count)s receivers?", "count"),
            consequence=gettext_lazy("Their pipes take events again; agents send what they kept."),
        ),
        "disable": switch(
            "receivers",
            enabled=False,
            question=ngettext_lazy("Disable %(count)s receiver?", "Disable %(count)s receivers?", "count"),
            consequence=gettext_lazy("No key of theirs works any more: the live sessions of their pipes end; agents keep events."),
        ),
    },
    "sources": {
        "enable": switch(
            "sources",
            enabled=True,
            question=ngettext_lazy("Enable %(count)s source?", "Enable %(count)s sources?", "count"),
            consequence=_AGAIN,
        ),
        "disable": switch(
            "sources",
            enabled=False,
            question=ngettext_lazy("Disable %(count)s source?", "Disable %(count)s sources?", "count"),
            consequence=_AGAIN,
        ),
    },
    "senders": {
        "enable": switch(
            "senders",
            enabled=True,
            question=ngettext_lazy("Enable %(count)s sender?", "Enable %(count)s senders?", "count"),
            consequence=_AGAIN,
        ),
        "disable": switch(
            "senders",
            enabled=False,
            question=ngettext_lazy("Disable %(count)s sender?", "Disable %(count)s senders?", "count"),
            consequence=_AGAIN,
        ),
    },
    "agent_pipes": {
        "enable": Order(
            gettext_lazy("Enable"),
            ngettext_lazy("Enable %(count)s agent pipe?", "Enable %(count)s agent pipes?", "count"),
            _AGAIN,
            Verb.CONFIGURE,
            lambda request, rows: _switch_agent_pipes(request, rows, enabled=True),
            "player-play",
        ),
        "disable": Order(
            gettext_lazy("Disable"),
            ngettext_lazy("Disable %(count)s agent pipe?", "Disable %(count)s agent pipes?", "count"),
            gettext_lazy("They stop on their agents and their sessions end; what they watched grows stale in its views."),
            Verb.CONFIGURE,
            lambda request, rows: _switch_agent_pipes(request, rows, enabled=False),
            "player-stop",
            is_bad=True,
        ),
    },
    "keys": {
        "revoke": Order(
            gettext_lazy("Revoke"),
            ngettext_lazy("Revoke %(count)s key?", "Revoke %(count)s keys?", "count"),
            gettext_lazy("They are refused everywhere within five seconds and their live sessions end. This cannot be undone."),
            Verb.KEYS,
            _revoke,
            "lock",
            is_bad=True,
        ),
    },
}


@require_POST
@page(Verb.CONFIGURE)
def of_receivers(request: HttpRequest) -> HttpResponse:
    """Orders on many receivers."""
    return give(request, Bulk(tables.RECEIVERS, tables.receiver_rows, ORDERS["receivers"], lambda: reverse("receivers")))


@require_POST
@page(Verb.CONFIGURE)
def of_sources(request: HttpRequest) -> HttpResponse:
    """Orders on many sources."""
    return give(request, Bulk(tables.SOURCES, tables.source_rows, ORDERS["sources"], lambda: reverse("sources")))


@require_POST
@page(Verb.CONFIGURE)
def of_senders(request: HttpRequest) -> HttpResponse:
    """Orders on many senders."""
    return give(request, Bulk(tables.SENDERS, tables.sender_rows, ORDERS["senders"], lambda: reverse("senders")))


@require_POST
@page(Verb.CONFIGURE)
def of_agent_pipes(request: HttpRequest) -> HttpResponse:
    """Orders on many agent pipes."""
    return give(request, Bulk(tables.AGENT_PIPES, tables.agent_pipe_rows, ORDERS["agent_pipes"], lambda: reverse("agent_pipes")))


@require_POST
@page(Verb.KEYS, confirm=True)
def of_keys(request: HttpRequest) -> HttpResponse:
    """Orders on many keys."""
    return give(request, Bulk(tables.keys_spec(), tables.key_rows, ORDERS["keys"], lambda: reverse("keys")))

"""Orders on many rows of the lists of apps.pipes: switch on and off, revoke. Each asks first (apps.runtime.bulk)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy
from django.views.decorators.http import require_POST

from apps.pipes import services
from apps.pipes.config.plan import Plan
from apps.pipes.config.service import Author
from apps.pipes.models import AgentPipe, ApiKey, Revision
from apps.pipes.pages import tables
from apps.pipes.pages.people import actor_of, author_of
from apps.pipes.permissions import Verb
from apps.runtime.bulk import Bulk, Order, give
from apps.runtime.console import page
from apps.runtime.listing import Words


class Switch(Protocol):
    """Switches rows on or off in the configuration."""

    def __call__(self, rows: Sequence[Any], *, enabled: bool, author: Author) -> tuple[Plan, Revision | None]:
        """The plan and the revision, if there was anything to change."""
        ...


def told(revision: Revision | None) -> str:
    """What came of switching."""
    if revision is None:
        return _("Nothing to change: they are like that already.")
    return _("Done as revision %(number)s.") % {"number": revision.number}


def switches(switch: Switch, *, enable: tuple[Words, Words], disable: tuple[Words, Words]) -> dict[str, Order]:
    """The orders to switch rows on and off, as one revision. `enable` and `disable` are the question and the consequence."""

    def act(enabled: bool, request: HttpRequest, rows: Sequence[Any]) -> str:
        _plan, revision = switch(rows, enabled=enabled, author=author_of(request, ""))
        return told(revision)

    on, off = partial(act, True), partial(act, False)
    return {
        "enable": Order(gettext_lazy("Enable"), *enable, Verb.CONFIGURE, on, "player-play"),
        "disable": Order(gettext_lazy("Disable"), *disable, Verb.CONFIGURE, off, "player-stop", is_bad=True),
    }


def objects(kind: str) -> Switch:
    """Switches objects of one kind."""

    def switch(rows: Sequence[Any], *, enabled: bool, author: Author) -> tuple[Plan, Revision | None]:
        return services.switch_objects(kind, [row.slug for row in rows], enabled=enabled, author=author)

    return switch


def _agent_pipes(rows: Sequence[AgentPipe], *, enabled: bool, author: Author) -> tuple[Plan, Revision | None]:
    wanted = [(row.agent.slug, row.slug) for row in rows]
    return services.switch_agent_pipes(wanted, enabled=enabled, author=author)


def _revoke(request: HttpRequest, rows: Sequence[ApiKey]) -> str:
    count = services.revoke_keys(actor_of(request), rows)
    return ngettext("%(count)s key is revoked.", "%(count)s keys are revoked.", count) % {"count": count}


_AGAIN = gettext_lazy("Agents that use them get their configuration anew; only the pipes concerned restart.")
ORDERS: dict[str, dict[str, Order]] = {
    "receivers": switches(
        objects("receivers"),
        enable=(
            ngettext_lazy("Enable %(count)s receiver?", "Enable %(count)s receivers?", "count"),
            gettext_lazy("Their pipes take events again; agents send what they kept."),
        ),
        disable=(
            ngettext_lazy("Disable %(count)s receiver?", "Disable %(count)s receivers?", "count"),
            gettext_lazy("No key of theirs works any more: the live sessions of their pipes end; agents keep events."),
        ),
    ),
    "sources": switches(
        objects("sources"),
        enable=(ngettext_lazy("Enable %(count)s source?", "Enable %(count)s sources?", "count"), _AGAIN),
        disable=(ngettext_lazy("Disable %(count)s source?", "Disable %(count)s sources?", "count"), _AGAIN),
    ),
    "senders": switches(
        objects("senders"),
        enable=(ngettext_lazy("Enable %(count)s sender?", "Enable %(count)s senders?", "count"), _AGAIN),
        disable=(ngettext_lazy("Disable %(count)s sender?", "Disable %(count)s senders?", "count"), _AGAIN),
    ),
    "agent_pipes": switches(
        _agent_pipes,
        enable=(ngettext_lazy("Enable %(count)s agent pipe?", "Enable %(count)s agent pipes?", "count"), _AGAIN),
        disable=(
            ngettext_lazy("Disable %(count)s agent pipe?", "Disable %(count)s agent pipes?", "count"),
            gettext_lazy("They stop on their agents and their sessions end; what they watched grows stale in its views."),
        ),
    ),
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
    return give(request, Bulk(tables.RECEIVERS, tables.receiver_rows, ORDERS["receivers"], "receivers"))


@require_POST
@page(Verb.CONFIGURE)
def of_sources(request: HttpRequest) -> HttpResponse:
    """Orders on many sources."""
    return give(request, Bulk(tables.SOURCES, tables.source_rows, ORDERS["sources"], "sources"))


@require_POST
@page(Verb.CONFIGURE)
def of_senders(request: HttpRequest) -> HttpResponse:
    """Orders on many senders."""
    return give(request, Bulk(tables.SENDERS, tables.sender_rows, ORDERS["senders"], "senders"))


@require_POST
@page(Verb.CONFIGURE)
def of_agent_pipes(request: HttpRequest) -> HttpResponse:
    """Orders on many agent pipes."""
    return give(request, Bulk(tables.AGENT_PIPES, tables.agent_pipe_rows, ORDERS["agent_pipes"], "agent_pipes"))


@require_POST
@page(Verb.KEYS, confirm=True)
def of_keys(request: HttpRequest) -> HttpResponse:
    """Orders on many keys."""
    return give(request, Bulk(tables.keys_spec(), tables.key_rows, ORDERS["keys"], "keys"))

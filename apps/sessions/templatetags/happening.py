"""How the console shows what is happening: states, phases, the state machine, who feeds what."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.runtime.templatetags.console import amount, badge, icon
from apps.sessions import machine
from apps.sessions.boards.fleet import FleetState, ViewLine
from apps.sessions.topology import Drawing, Item, draw

register = template.Library()

LIFECYCLE_LEVELS = {
    "RUNNING": "ok",
    "INITIALIZING": "busy",
    "DRAINING": "busy",
    "PAUSED": "warn",
    "STOPPING": "warn",
    "ERROR": "bad",
    "STOPPED": "off",
}
CHIPS = {
    "SNAPSHOT": "database",
    "MESSAGE": "broadcast",
    "AUDIT": "radar",
    "CONF_OUTDATED": "settings",
    "RECONNECTING": "plug-x",
}


@register.simple_tag
def lifecycle(name: str) -> SafeString:
    """The badge of a lifecycle state."""
    return badge(LIFECYCLE_LEVELS.get(name, "unknown"), name.lower())


@register.simple_tag
def phase_chip(name: str) -> SafeString:
    """The chip of a phase or of an overlay: never folded into the lifecycle's badge."""
    return format_html(
        '<span class="tag tone-busy">{}<span>{}</span></span>', icon(CHIPS.get(name, "point")), name.lower().replace("_", " ")
    )


@register.inclusion_tag("pipes/machine.html")
def state_machine(lit: Collection[str]) -> dict[str, Any]:
    """The state machine as a drawing, the states of now lit."""
    placed = machine.boxes(lit)
    width, height = machine.DRAWING_SIZE
    phases = [(name.lower(), name in lit, CHIPS[name]) for name in ("SNAPSHOT", "MESSAGE", "AUDIT")]
    words = ", ".join(sorted(name.lower() for name in lit)) or _("no live session")
    return {
        "boxes": placed.values(),
        "arrows": list(machine.arrows(placed)),
        "size": {"width": width, "height": height, "box_width": machine.WIDTH, "box_height": machine.HEIGHT},
        "phases": phases,
        "words": words,
    }


@register.simple_tag
def topology(state: FleetState) -> Drawing:
    """Who feeds what, laid out."""
    drawing = draw(_lanes(state), _links(state))
    return replace(drawing, hidden=drawing.hidden + state.sessions_left_out)


def _lanes(state: FleetState) -> dict[str, Sequence[Item]]:
    agents = {line.agent or line.task_id: line for pipe in state.pipes for line in pipe.sessions}
    receivers = dict.fromkeys(pipe.receiver for pipe in state.pipes)
    return {
        "agents": [
            Item(name, name, line.status.label, line.status.level, reverse("session", args=[line.number]))
            for name, line in agents.items()
        ],
        "receivers": [Item(name, name, _("receiver"), "ok", reverse("receivers")) for name in receivers],
        "pipes": [
            Item(pipe.slug, pipe.slug, pipe.status.label, pipe.status.level, reverse("pipe", args=[pipe.slug]))
            for pipe in state.pipes
        ],
        "views": [
            Item(view.slug, view.slug, _view_note(view), view.status.level, reverse("tree", args=[view.slug]))
            for view in state.views
        ],
    }


def _view_note(view: ViewLine) -> str:
    files = ngettext("%(count)s file", "%(count)s files", view.files) % {"count": amount(view.files)}
    return f"{files} · {view.status.label}"


def _links(state: FleetState) -> Iterator[tuple[str, str, str, str]]:
    for pipe in state.pipes:
        for line in pipe.sessions:
            yield "agents", line.agent or line.task_id, "receivers", pipe.receiver
        yield "receivers", pipe.receiver, "pipes", pipe.slug
        for slug in pipe.views:
            yield "pipes", pipe.slug, "views", slug

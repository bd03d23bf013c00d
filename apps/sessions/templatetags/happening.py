"""How the console shows sessions and jobs: states, phases, the state machine."""

from collections.abc import Collection
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.runtime.templatetags.console import badge, icon
from apps.sessions import machine

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
    words = ", ".join(sorted(name.lower() for name in lit)) or _("no live session")
    return {
        "boxes": placed.values(),
        "arrows": list(machine.arrows(placed)),
        "size": {"width": width, "height": height, "box_width": machine.WIDTH, "box_height": machine.HEIGHT},
        "words": words,
    }

"""How the console shows things: icons, statuses, times, sizes, counts. Loaded by every template."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.runtime import clock
from apps.runtime.console import allowed
from fustor_schema import paths

register = template.Library()

# level of a status → (icon, class); the words of a status come from the one function that decided it
LEVELS = {
    "ok": ("circle-check", "tone-ok"),
    "busy": ("progress", "tone-busy"),
    "warn": ("alert-triangle", "tone-warn"),
    "bad": ("alert-circle", "tone-bad"),
    "off": ("circle-minus", "tone-off"),
    "unknown": ("help-circle", "tone-off"),
}
SECOND_STEPS = ((60, 1), (3600, 60), (86_400, 3600), (31_536_000, 86_400))
# entry of the menu → beginnings of the paths of its pages
SECTIONS = {
    "/locate/": ("/locate/",),
    "/views/": ("/views/", "/configuration/views/"),
    "/pipes/": ("/pipes/", "/configuration/pipes/"),
    "/sessions/": ("/sessions/",),
    "/jobs/": ("/jobs/",),
    "/agents/": (
        *("/agents/", "/agent-pipes/", "/sources/", "/senders/"),
        *(f"/configuration/{kind}/" for kind in ("agents", "agent-pipes", "sources", "senders")),
    ),
    "/receivers/": ("/receivers/", "/configuration/receivers/"),
    "/keys/": ("/keys/",),
    "/changes/": ("/changes/", "/configuration/", "/audit/"),
    "/system/": ("/system/",),
    "/people/": ("/people/",),
}
BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@register.simple_tag
def icon(name: str, label: str = "", size: str = "") -> SafeString:
    """An icon of the vendored sprite; decorative unless it has a label."""
    target = f"{static('vendor/icons.svg')}#{name}"
    css = f"icon icon-{size}" if size else "icon"
    if label:
        return format_html('<svg class="{}" role="img" aria-label="{}"><use href="{}"></use></svg>', css, label, target)
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}"></use></svg>', css, target)


@register.simple_tag
def badge(level: str, label: str, reason: str = "") -> SafeString:
    """A status as icon and words, coloured by its level; the reason shows on hover and to screen readers."""
    picture, tone = LEVELS.get(str(level), LEVELS["unknown"])
    hint = format_html('<span class="visually-hidden">: {}</span>', reason) if reason else ""
    return format_html('<span class="tag {}" title="{}">{}<span>{}</span>{}</span>', tone, reason, icon(picture), label, hint)


@register.simple_tag
def status(value: Any) -> SafeString:
    """The badge of a Status (level, label, reason)."""
    return badge(str(value.level), str(value.label), str(value.reason))


@register.filter
def when(value: datetime | float | None) -> SafeString | str:
    """A moment (datetime, or Unix seconds) as relative words, with the exact time on hover; the browser keeps it current."""
    if value is None or value == "":
        return "–"
    moment = value if isinstance(value, datetime) else as_datetime(float(value))
    if moment is None:
        return str(value)
    exact = timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")
    words = relative(moment.timestamp() - clock.now())
    return format_html('<time datetime="{}" title="{}" data-ago>{}</time>', moment.isoformat(), exact, words)


@register.filter
def when_ms(value: int | None) -> SafeString | str:
    """A moment in Unix milliseconds, as `when`; 0 and None are no moment."""
    return when(value / 1000) if value else "–"


def as_datetime(seconds: float) -> datetime | None:
    """The moment, or None when no calendar holds it (storage knows mtimes beyond the year 9999)."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def relative(delta: float) -> str:
    """`3 min ago`, `in 5 s`: a difference in seconds in the largest unit that fits."""
    size = abs(delta)
    if size < 1:
        return _("just now")
    words = duration(size)
    return _("in %(time)s") % {"time": words} if delta > 0 else _("%(time)s ago") % {"time": words}


@register.filter
def duration(seconds: float | None) -> str:
    """A span of seconds in one unit: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`, `1 y`."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    for limit, unit in SECOND_STEPS:
        if seconds < limit:
            return f"{int(seconds // unit)} {_unit(unit)}"
    return f"{int(seconds // 31_536_000)} {_('y')}"


def _unit(seconds: int) -> str:
    return {1: _("s"), 60: _("min"), 3600: _("h"), 86_400: _("d")}[seconds]


@register.filter
def octets(value: float | None) -> str:
    """A size in bytes with a binary unit and three digits: `1.46 MiB`."""
    if value is None:
        return "–"
    size, step = float(value), 0
    while abs(size) >= 1024 and step < len(BYTE_UNITS) - 1:
        size, step = size / 1024, step + 1
    if step == 0:
        return f"{int(size)} B"
    digits = 2 if abs(size) < 10 else 1 if abs(size) < 100 else 0
    return f"{number_format(size, digits)} {BYTE_UNITS[step]}"


@register.filter
def amount(value: int | None) -> str:
    """A count with separators; `–` when unknown."""
    return "–" if value is None else number_format(value, 0, force_grouping=True)


@register.filter
def items(value: int) -> str:
    """`1 item`, `12 items`."""
    return ngettext("%(count)s item", "%(count)s items", value) % {"count": amount(value)}


@register.filter
def shown(key: str) -> str:
    """A path or name as people may read it, raw bytes escaped (R34)."""
    return paths.display(key)


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """The query string of this page with some parameters changed; None or an empty value drops one."""
    current: QueryDict = context["request"].GET.copy()
    for name, value in changes.items():
        current.pop(name, None)
        if value not in (None, ""):
            current[name] = str(value)
    return "?" + urlencode(sorted(current.lists()), doseq=True)


@register.simple_tag(takes_context=True)
def here(context: template.Context, section: str) -> bool:
    """True when the page belongs to this entry of the menu."""
    return section_of(context["request"].path) == section


def section_of(path: str) -> str:
    """The entry of the menu that a page belongs to: the one with the longest beginning of its path; empty for none."""
    if path == "/":
        return "/"
    # a form for a new pipe, and orders on many pipes, belong to pipes
    path = path.removeprefix("/orders").replace("/configuration/new/", "/configuration/", 1)
    found = [(len(start), section) for section, starts in SECTIONS.items() for start in starts if path.startswith(start)]
    return max(found)[1] if found else ""


@register.filter
def anchor(key: str) -> str:
    """A short element id for a path, the same every time."""
    return hashlib.blake2b(paths.to_bytes(key), digest_size=8).hexdigest()


@register.simple_tag(takes_context=True)
def may(context: template.Context, verb: str) -> bool:
    """Whether the reader may do this; buttons that would be refused are not shown."""
    return allowed(context["request"].user, verb)

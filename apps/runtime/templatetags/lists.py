"""Tags of the list frame: columns that sort, filters by a parameter whose name is data, boxes to tick. See apps.runtime.listing."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.runtime.listing import Listing
from apps.runtime.templatetags.console import query

register = template.Library()


@register.simple_tag(takes_context=True)
def column(context: template.Context, words: str, sort: str = "", css: str = "") -> SafeString:
    """The head of a column; with `sort` a link that sorts by it, and turns it round when it does already."""
    if not sort:
        return format_html('<th scope="col" class="{}">{}</th>', css, words)
    found: Listing[Any] = context["list"]
    is_current, is_turned = found.sort.removeprefix("-") == sort, found.sort.startswith("-")
    address = query(context, sort=f"-{sort}" if is_current and not is_turned else sort, page=None)
    if not is_current:
        return format_html('<th scope="col" class="{}"><a href="{}">{}</a></th>', css, address, words)
    direction = "descending" if found.is_descending else "ascending"
    return format_html('<th scope="col" class="{}" aria-sort="{}"><a href="{}">{}</a></th>', css, direction, address, words)


@register.simple_tag(takes_context=True)
def filtered(context: template.Context, name: str, value: str) -> str:
    """The address of this list with one filter set to a value; empty takes it away."""
    return query(context, **{name: value, "page": None})


@register.simple_tag(takes_context=True)
def pick(context: template.Context, key: Any, name: str) -> SafeString:
    """The cell with the box to tick, when the reader may give orders on this list."""
    if not context.get("orders"):
        return SafeString("")
    label = _("Choose %(name)s") % {"name": name}
    box = '<input class="form-check-input" type="checkbox" name="pick" form="bulk" value="{}" aria-label="{}">'
    return format_html('<td class="pick">{}</td>', format_html(box, key, label))


@register.filter
def of(values: Mapping[str, str], name: str) -> str:
    """The value under a name that is data."""
    return values.get(name, "")

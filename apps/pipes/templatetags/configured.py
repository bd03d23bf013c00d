"""How plans are shown: each change down to the single field that differs. Loaded by templates of the configuration."""

from collections.abc import Iterable, Iterator
from typing import Any

from django import template

from apps.pipes.config.plan import Change

register = template.Library()


@register.filter
def leaves(changes: Iterable[Change]) -> list[Change]:
    """Changes of mappings taken apart: `pipes.home.source` instead of the whole `pipes`."""
    return [leaf for change in changes for leaf in _leaves(change.field, change.before, change.after)]


@register.filter
def plain(value: Any) -> str:
    """A value as people write it: lists with commas, yes and no, whole numbers whole; an empty one as a dash."""
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return str(value)


def _leaves(field: str, before: Any, after: Any) -> Iterator[Change]:
    mappings = [value for value in (before, after) if isinstance(value, dict)]
    if not mappings or any(value is not None and not isinstance(value, dict) for value in (before, after)):
        yield Change(field, before, after)
        return
    old, new = (value or {} for value in (before, after))
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield from _leaves(f"{field}.{name}", old.get(name), new.get(name))

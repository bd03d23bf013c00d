"""Narrowing a query set to a subtree by its `path` column, in the byte order that both databases share."""

from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from apps.views.queries import sql
from fustor_schema import paths

M = TypeVar("M", bound=Model)


def within(rows: QuerySet[M], key: str) -> QuerySet[M]:
    """The rows at a path or below it."""
    if key == paths.ROOT:
        return rows
    return rows.filter(is_within(key))


def is_within(key: str) -> Q:
    """The condition that a row lies at a path or below it; not for the root, where all do."""
    low, high = sql.below(key)
    return Q(path=key) | Q(path__gt=low, path__lt=high)

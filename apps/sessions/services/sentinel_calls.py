"""Sentinel tasks and their outcome as agents call them. The rules of suspects live in apps.views.sentinel."""

from collections.abc import Sequence

from django.db import transaction

from apps.pipes.principals import KeyPrincipal
from apps.runtime.clock import now, now_ms
from apps.sessions.services import sessions
from apps.sessions.services.audit_calls import fenced, leaders
from apps.sessions.services.leadership import epochs_of
from apps.sessions.services.origins import origin_of
from apps.sessions.services.trees import trees_of
from apps.views import sentinel
from apps.views.sentinel import Look

MOST_PATHS = 500


def tasks(principal: KeyPrincipal) -> tuple[str, list[str]] | None:
    """(view id, path keys) of suspects to look at again, of the first of the key's views that has any."""
    for pipe in principal.pipes().order_by("pk"):
        for tree in trees_of(pipe):
            paths = sentinel.tasks([tree.pk], now(), MOST_PATHS)
            if paths:
                return tree.view.slug, paths
    return None


def feedback(principal: KeyPrincipal, looks: Sequence[Look], session_id: str | None) -> int:
    """Take the outcome of sentinel tasks; how many trees took it in.

    `session_id`: who looked; old clients do not say, then it is the leaders of the key's pipes.
    """
    reporters = leaders(principal) if session_id is None else [sessions.require_live(sessions.find(session_id, principal))]
    updated = 0
    for session in reporters:
        with transaction.atomic():
            locked = fenced(session)
            epochs = epochs_of(locked)
            for tree in trees_of(locked.pipe):
                sentinel.feedback(tree.pk, origin_of(locked, epochs.get(tree.pk, 0)), looks, now_ms())
                updated += 1
    return updated

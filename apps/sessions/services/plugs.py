"""What the apps below need from this one: scans and names of sessions for apps.views, the end of
revoked keys' sessions for apps.pipes. Connected when Django starts."""

from collections.abc import Collection, Mapping

from django.db.models import Q

from apps.pipes.ports import when_agents_wanted, when_keys_revoked, when_sessions_counted
from apps.sessions.models import Session
from apps.sessions.services import commands, liveness, scans, sessions
from apps.views.ports import SessionLabel, ports


def connect() -> None:
    """Fill the ports."""
    ports.request_scan = scans.request_scan
    ports.pending_scan = scans.pending_scan
    ports.session_labels = session_labels
    ports.watched_until = watched_until
    when_keys_revoked(sessions.end_of_keys)
    when_agents_wanted(commands.reload_agents)
    when_sessions_counted(count_live)


def watched_until(session: int) -> float | None:
    """When the session with this number last showed a sign of life, if it lives and hears changes in realtime; one query."""
    found = Session.objects.filter(number=session, ended_at__isnull=True, can_realtime=True).first()
    return None if found is None else liveness.last_seen([found])[session]


def session_labels(numbers: Collection[int]) -> Mapping[int, SessionLabel]:
    """Names of sessions by their numbers, living and ended; one query."""
    found = Session.objects.filter(number__in=numbers)
    return {
        session.number: SessionLabel(session.agent_name, session.source_uri, session.task_id, session.masked_id)
        for session in found.only("number", "id", "agent_name", "source_uri", "task_id")
    }


def count_live(pipes: Collection[str], keys: Collection[str]) -> int:
    """Live sessions of these pipes (ids) or these keys (references)."""
    return Session.objects.filter(Q(pipe__slug__in=pipes) | Q(key__ref__in=keys), ended_at__isnull=True).count()

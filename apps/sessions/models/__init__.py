"""Tables of what is happening: sessions, who leads, what was asked, what runs, what happened."""

from apps.sessions.models.job import Command, Job
from apps.sessions.models.leadership import Leadership, LeadershipChange
from apps.sessions.models.session import ConfigReport, ReceivedBatch, Session, SessionStream, StateChange

__all__ = [
    "Command",
    "ConfigReport",
    "Job",
    "Leadership",
    "LeadershipChange",
    "ReceivedBatch",
    "Session",
    "SessionStream",
    "StateChange",
]

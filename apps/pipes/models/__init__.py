"""Tables of what is configured, who may touch it, and what was changed."""

from apps.pipes.models.access import UNSET, ApiKey, Enrolment, EnrolmentToken, KeyKind, Person, Role
from apps.pipes.models.configured import Agent, AgentPipe, Configured, Pipe, PipeView, Receiver, Sender, Source
from apps.pipes.models.history import AuditEntry, Draft, LegacyUse, Revision

__all__ = [
    "UNSET",
    "Agent",
    "AgentPipe",
    "ApiKey",
    "AuditEntry",
    "Configured",
    "Draft",
    "Enrolment",
    "EnrolmentToken",
    "KeyKind",
    "LegacyUse",
    "Person",
    "Pipe",
    "PipeView",
    "Receiver",
    "Revision",
    "Role",
    "Sender",
    "Source",
]

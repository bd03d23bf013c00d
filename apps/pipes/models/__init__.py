"""Tables of what is configured, who may touch it, and what was changed."""

from apps.pipes.models.access import UNSET, ApiKey, Enrolment, EnrolmentToken, KeyKind, Login, Person, Role, Theme
from apps.pipes.models.configured import Agent, AgentPipe, Configured, Pipe, PipeView, Receiver, Sender, Source
from apps.pipes.models.history import AuditCut, AuditEntry, Draft, LegacyUse, Revision
from apps.pipes.models.rollouts import OPEN_STATES, MemberState, Rollout, RolloutMember, RolloutState

__all__ = [
    "OPEN_STATES",
    "UNSET",
    "Agent",
    "AgentPipe",
    "ApiKey",
    "AuditCut",
    "AuditEntry",
    "Configured",
    "Draft",
    "Enrolment",
    "EnrolmentToken",
    "KeyKind",
    "LegacyUse",
    "Login",
    "MemberState",
    "Person",
    "Pipe",
    "PipeView",
    "Receiver",
    "Revision",
    "Role",
    "Rollout",
    "RolloutMember",
    "RolloutState",
    "Sender",
    "Source",
    "Theme",
]

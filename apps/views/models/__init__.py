"""Tables of what is known."""

from apps.views.models.audit import Audit, AuditAbsence, AuditName, Recheck
from apps.views.models.feed import ChangeBatch, Refusal
from apps.views.models.memory import BlindSpot, Gap, Suspect, Tombstone
from apps.views.models.names import NameChunk, NameIndex
from apps.views.models.node import Directory, File, Flag, NodeKind, OwnerTotal
from apps.views.models.view import Tree, View, ViewDriver

__all__ = [
    "Audit",
    "AuditAbsence",
    "AuditName",
    "BlindSpot",
    "ChangeBatch",
    "Directory",
    "File",
    "Flag",
    "Gap",
    "NameChunk",
    "NameIndex",
    "NodeKind",
    "OwnerTotal",
    "Recheck",
    "Refusal",
    "Suspect",
    "Tombstone",
    "Tree",
    "View",
    "ViewDriver",
]

"""The configuration as one typed document: what YAML says, what a revision keeps, what the planner compares.

Field names are those of the unified YAML. Objects are keyed by their id. Secrets are never in it: a key is named by its
reference (`k-…`); see apps.pipes.config.secrets.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

Name = Annotated[str, Meta(max_length=200)]
Ident = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Seconds = Annotated[float, Meta(ge=0, le=366 * 86400)]
TimeoutSeconds = Annotated[int, Meta(ge=1, le=86400)]


class KeyEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key of a receiver or view. `key` is only there on the way in; `pipe_id` only on receivers."""

    ref: str = ""
    pipe_id: str = ""
    key: str = ""
    name: Name = ""


class ReceiverDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A receiver. `api_keys` absent: the keys stay as they are."""

    driver: str = "http"
    name: Name = ""
    disabled: bool = False
    driver_params: dict[str, Any] = {}
    api_keys: tuple[KeyEntry, ...] | None = None


class ViewDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A view with its query keys. `api_keys` absent: the keys stay as they are."""

    driver: str = "fs"
    name: Name = ""
    disabled: bool = False
    driver_params: dict[str, Any] = {}
    api_keys: tuple[KeyEntry, ...] | None = None


class PipeDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A pipe: receiver → views."""

    receiver: str
    views: tuple[str, ...] = ()
    name: Name = ""
    disabled: bool = False
    session_timeout_seconds: TimeoutSeconds = 30
    audit_interval_sec: Seconds = 600.0
    sentinel_interval_sec: Seconds = 120.0
    allow_concurrent_push: bool = True


class SourceDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A source of an agent: what it reads."""

    uri: Annotated[str, Meta(min_length=1, max_length=4096)]
    driver: str = "fs"
    name: Name = ""
    disabled: bool = False
    driver_params: dict[str, Any] = {}


class SenderDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A sender of an agent: where it sends to. `credential` refers to a secret, it never holds one."""

    uri: Annotated[str, Meta(max_length=2048)] = ""
    driver: str = "http"
    name: Name = ""
    disabled: bool = False
    credential: dict[str, str] = {}
    driver_params: dict[str, Any] = {}


class AgentPipeDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """Source → sender on one agent; `pipe` is the pipe of this server that takes it."""

    source: str
    sender: str
    pipe: str = ""
    name: Name = ""
    disabled: bool = False
    settings: dict[str, Any] = {}


class AgentDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A host with what it runs."""

    name: Name = ""
    disabled: bool = False
    labels: dict[str, str] = {}
    pipes: dict[Ident, AgentPipeDoc] = {}


Entry = ReceiverDoc | ViewDoc | PipeDoc | SourceDoc | SenderDoc | AgentDoc

# in the order in which objects can be made: what is referred to comes first
KINDS: dict[str, type[Entry]] = {
    "receivers": ReceiverDoc,
    "views": ViewDoc,
    "pipes": PipeDoc,
    "sources": SourceDoc,
    "senders": SenderDoc,
    "agents": AgentDoc,
}


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is configured."""

    receivers: dict[Ident, ReceiverDoc] = {}
    views: dict[Ident, ViewDoc] = {}
    pipes: dict[Ident, PipeDoc] = {}
    sources: dict[Ident, SourceDoc] = {}
    senders: dict[Ident, SenderDoc] = {}
    agents: dict[Ident, AgentDoc] = {}

    def section(self, kind: str) -> dict[str, Any]:
        """The objects of one kind by id."""
        found: dict[str, Any] = getattr(self, kind)
        return found


D = TypeVar("D", bound=Struct)


def from_plain(plain: object, into: type[D]) -> D:
    """A typed document (or a part of one) from plain values. Raises msgspec.ValidationError naming the place."""
    return msgspec.convert(plain, into, strict=True)


def to_plain(document: Struct) -> dict[str, Any]:
    """Plain values in the order of the fields: for JSON, YAML and diffs."""
    # through JSON, so that it equals what the database gives back: lists, not tuples
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return plain

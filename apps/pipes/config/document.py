"""The configuration as one typed document: what YAML says, what a revision keeps, what the planner compares.

Field names are those of the unified YAML. Objects are keyed by their id. Secrets are never in it: a key is named by its
reference (`k-…`); see apps.pipes.config.secrets.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from apps.runtime.server_settings import ServerSettings

Name = Annotated[str, Meta(max_length=200, title="Name", description="For people. May be changed at any time.")]
Disabled = Annotated[bool, Meta(title="Switched off", description="Kept as it is, but does nothing.")]
Ident = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Seconds = Annotated[float, Meta(ge=0, le=366 * 86400, extra_json_schema={"x-unit": "seconds"})]
TimeoutSeconds = Annotated[int, Meta(ge=1, le=86400, extra_json_schema={"x-unit": "seconds"})]
Driver = Annotated[str, Meta(title="Driver", description="Its settings follow below.", extra_json_schema={"x-drivers": True})]


def refers(kind: str, title: str, description: str) -> Meta:
    """What a form needs to know of a field that names objects of another kind."""
    return Meta(title=title, description=description, extra_json_schema={"x-refers": kind})


class KeyEntry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key of a receiver or view. `key` is only there on the way in; `pipe_id` only on receivers."""

    ref: str = ""
    pipe_id: str = ""
    key: str = ""
    name: Name = ""


class ReceiverDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A receiver. `api_keys` absent: the keys stay as they are."""

    driver: Driver = "http"
    name: Name = ""
    disabled: Disabled = False
    driver_params: dict[str, Any] = {}
    api_keys: tuple[KeyEntry, ...] | None = None


class ViewDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A view with its query keys. `api_keys` absent: the keys stay as they are."""

    driver: Driver = "fs"
    name: Name = ""
    disabled: Disabled = False
    driver_params: dict[str, Any] = {}
    api_keys: tuple[KeyEntry, ...] | None = None


class PipeDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A pipe: receiver → views."""

    receiver: Annotated[str, refers("receivers", "Receiver", "Takes the events of this pipe in.")]
    views: Annotated[tuple[str, ...], refers("views", "Views", "What the events feed: one at least.")] = ()
    name: Name = ""
    disabled: Disabled = False
    session_timeout_seconds: Annotated[
        TimeoutSeconds, Meta(title="Session timeout", description="An agent that is silent for longer has gone.")
    ] = 30
    audit_interval_sec: Annotated[
        Seconds, Meta(title="Audit every", description="The leader compares the whole source with the view; 0 is never.")
    ] = 600.0
    sentinel_interval_sec: Annotated[
        Seconds, Meta(title="Sentinel every", description="The leader looks at suspects again; 0 is never.")
    ] = 120.0
    allow_concurrent_push: Annotated[
        bool, Meta(title="Several sessions at once", description="Off: a second agent is turned away while one is connected.")
    ] = True


class SourceDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A source of an agent: what it reads."""

    uri: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4096,
            title="Path",
            description="Root of what is read, as the agent's host sees it.",
            extra_json_schema={"format": "path"},
        ),
    ]
    driver: Driver = "fs"
    name: Name = ""
    disabled: Disabled = False
    driver_params: dict[str, Any] = {}


class SenderDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A sender of an agent: where it sends to. `credential` refers to a secret, it never holds one."""

    uri: Annotated[
        str, Meta(max_length=2048, title="Server", description="Where it sends to. Empty: the server that the agent enrolled at.")
    ] = ""
    driver: Driver = "http"
    name: Name = ""
    disabled: Disabled = False
    credential: Annotated[
        dict[str, str],
        Meta(
            title="Where the agent finds its key",
            description="One line: env: NAME, file: /path or key_ref: k-…; empty: the agent's own key. Never the key itself.",
        ),
    ] = {}
    driver_params: dict[str, Any] = {}


class AgentPipeDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """Source → sender on one agent; `pipe` is the pipe of this server that takes it."""

    source: Annotated[str, refers("sources", "Source", "What it reads.")]
    sender: Annotated[str, refers("senders", "Sender", "How it carries events out.")]
    pipe: Annotated[str, refers("pipes", "Pipe", "Pipe of this server that takes the events; none for another server.")] = ""
    name: Name = ""
    disabled: Disabled = False
    settings: dict[str, Any] = {}


class AgentDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A host with what it runs."""

    name: Name = ""
    disabled: Disabled = False
    labels: Annotated[
        dict[str, str],
        Meta(title="Labels", description="One a line, such as site: north. They choose agents for changes in waves."),
    ] = {}
    pipes: dict[Ident, AgentPipeDoc] = {}


Entry = ReceiverDoc | ViewDoc | PipeDoc | SourceDoc | SenderDoc | AgentDoc

SETTINGS = "settings"  # the one section that is no collection of objects

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
    """Everything that is configured. `settings` absent: they stay as they are (and as the environment says in a replacement)."""

    receivers: dict[Ident, ReceiverDoc] = {}
    views: dict[Ident, ViewDoc] = {}
    pipes: dict[Ident, PipeDoc] = {}
    sources: dict[Ident, SourceDoc] = {}
    senders: dict[Ident, SenderDoc] = {}
    agents: dict[Ident, AgentDoc] = {}
    settings: ServerSettings | None = None

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

"""Where an object stands in the document: `pipes.main`, or inside its agent: `agents.host-1.pipes.home`. Pure.

Agent pipes are objects to people and parts of their agent to the document; this is the one place that knows.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from apps.pipes.config.document import KINDS, AgentDoc, AgentPipeDoc, Document, Entry, to_plain
from apps.runtime.problems import NotFound

AGENT_PIPES = "agent-pipes"
# kinds of objects as people meet them, each once, in the order in which they can be made
OBJECTS: dict[str, type[Entry] | type[AgentPipeDoc]] = {**KINDS, AGENT_PIPES: AgentPipeDoc}


@dataclass(frozen=True)
class Place:
    """One object: its kind and id. An agent pipe's id is `<agent>:<pipe>`, like the task id of its sessions."""

    kind: str
    ident: str

    def __post_init__(self) -> None:
        """Raises NotFound when there is no such kind."""
        if self.kind not in OBJECTS:
            raise NotFound(f"There is no kind of object {self.kind!r}.", fix=f"Kinds are {', '.join(OBJECTS)}.")

    @property
    def struct(self) -> type[Entry] | type[AgentPipeDoc]:
        """What its fields are."""
        return OBJECTS[self.kind]

    @property
    def owner(self) -> tuple[str, str]:
        """Kind and id of the object of the document that holds it: itself, or the agent."""
        return ("agents", self.ident.partition(":")[0]) if self.kind == AGENT_PIPES else (self.kind, self.ident)

    @property
    def own_id(self) -> str:
        """The id within its owner."""
        return self.ident.partition(":")[2] if self.kind == AGENT_PIPES else self.ident

    @property
    def parts(self) -> frozenset[str]:
        """Fields that are edited elsewhere: keys on their own pages, the pipes of an agent as objects of their own."""
        return frozenset({"pipes"}) if self.kind == "agents" else frozenset({"api_keys"})

    @property
    def where(self) -> str:
        """How faults and the audit log name it."""
        return f"{'.'.join(self.owner)}.pipes.{self.own_id}" if self.kind == AGENT_PIPES else f"{self.kind}.{self.ident}"


def fields_at(document: Document, place: Place) -> dict[str, Any] | None:
    """The fields of an object, without its parts; None when it is not there."""
    kind, ident = place.owner
    entry = document.section(kind).get(ident)
    if isinstance(entry, AgentDoc) and place.kind == AGENT_PIPES:
        entry = entry.pipes.get(place.own_id)
    if entry is None:
        return None
    return {name: value for name, value in to_plain(entry).items() if name not in place.parts}


def owner_fields(document: Document, place: Place, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of the owner once the object has `fields`."""
    if place.owner[0] != "agents":
        return fields
    agent = to_plain(document.agents.get(place.owner[1], AgentDoc()))
    return {**agent, **fields} if place.kind == "agents" else {**agent, "pipes": {**agent["pipes"], place.own_id: fields}}


def users_of(document: Document, place: Place) -> tuple[Place, ...]:
    """The objects that refer to an object, so that it cannot go before them."""
    pipes = [
        Place("pipes", ident)
        for ident, pipe in document.pipes.items()
        if (place.kind == "receivers" and pipe.receiver == place.ident) or (place.kind == "views" and place.ident in pipe.views)
    ]
    field = {"sources": "source", "senders": "sender", "pipes": "pipe"}.get(place.kind)
    ran = [
        Place(AGENT_PIPES, f"{agent}:{ident}")
        for agent, entry in document.agents.items()
        for ident, pipe in entry.pipes.items()
        if (field and getattr(pipe, field) == place.ident) or (place.kind == "agents" and agent == place.ident)
    ]
    return (*pipes, *ran)


def known(document: Document, kind: str) -> dict[str, str]:
    """Id → name of every object of a kind, in the order of the ids."""
    if kind == AGENT_PIPES:
        return {f"{agent}:{ident}": pipe.name for agent, entry in document.agents.items() for ident, pipe in entry.pipes.items()}
    return {ident: entry.name for ident, entry in document.section(kind).items()}


def without(document: Document, place: Place) -> Document:
    """The document without the object. Keys that open a pipe go with it, as far as they open it."""
    kind, ident = place.owner
    if kind == "pipes":
        document = _without_bindings(document, ident)
    section = document.section(kind)
    if place.kind == AGENT_PIPES:
        agent: AgentDoc = section[ident]
        pipes = {name: pipe for name, pipe in agent.pipes.items() if name != place.own_id}
        rest = {**section, ident: msgspec.structs.replace(agent, pipes=pipes)}
    else:
        rest = {name: entry for name, entry in section.items() if name != ident}
    return msgspec.structs.replace(document, **{kind: rest})


def _without_bindings(document: Document, pipe: str) -> Document:
    receivers = {
        ident: msgspec.structs.replace(entry, api_keys=tuple(key for key in entry.api_keys if key.pipe_id != pipe))
        for ident, entry in document.receivers.items()
        if entry.api_keys
    }
    return msgspec.structs.replace(document, receivers={**document.receivers, **receivers})

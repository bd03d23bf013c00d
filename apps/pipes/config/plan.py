"""What a document would change: create, update, delete or leave alone, object by object. Pure: two documents in, a plan out.

Objects that the wanted document does not name stay, unless it replaces everything. An object that it names becomes what it
says. Keys: a list of `api_keys` is the whole list for keys that came from YAML; keys made here stay unless everything is replaced.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from apps.pipes.config.document import KINDS, SETTINGS, Document, Entry, KeyEntry, ReceiverDoc, ViewDoc, to_plain
from apps.pipes.config.faults import Notice
from apps.runtime.server_settings import ServerSettings

E = TypeVar("E", ReceiverDoc, ViewDoc)
SERVER = "server"  # what the settings are settings of, where a step names an object


class Action(StrEnum):
    """What happens to one object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """One field with its value before and after (None: not there)."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Step:
    """What happens to one object, and which fields change."""

    kind: str
    ident: str
    action: Action
    changes: tuple[Change, ...] = ()

    def __str__(self) -> str:
        fields = f" ({', '.join(change.field for change in self.changes)})" if self.action == Action.UPDATE else ""
        return f"{self.action} {self.kind}.{self.ident}{fields}"


@dataclass(frozen=True)
class Plan:
    """The steps in the order of the document, the document that comes out, and what to know about it."""

    steps: tuple[Step, ...]
    result: Document
    notices: tuple[Notice, ...] = ()

    @property
    def changes_anything(self) -> bool:
        """Whether applying it would change the configuration."""
        return any(step.action != Action.UNCHANGED for step in self.steps)

    def summary(self) -> str:
        """One line: how many objects of each action, e.g. `2 create, 1 update, 5 unchanged`."""
        counts = Counter(step.action for step in self.steps)
        return ", ".join(f"{counts[action]} {action}" for action in Action if counts[action]) or "nothing configured"

    def of(self, *actions: Action) -> list[Step]:
        """The steps with one of these actions."""
        return [step for step in self.steps if step.action in actions]


def merge(current: Document, wanted: Document, *, replace: bool, kept_refs: frozenset[str]) -> Document:
    """The document that results from `wanted` on top of `current`. `kept_refs`: keys that only a replacement removes."""
    kept = frozenset() if replace else kept_refs
    sections: dict[str, Any] = {SETTINGS: wanted.settings if wanted.settings is not None or replace else current.settings}
    for kind in KINDS:
        before = current.section(kind)
        named = {ident: _with_keys(before.get(ident), entry, kept) for ident, entry in wanted.section(kind).items()}
        sections[kind] = dict(sorted((named if replace else {**before, **named}).items()))
    return Document(**sections)


def compare(current: Document, result: Document) -> Plan:
    """The steps from one canonical document to another."""
    steps = []
    for kind in KINDS:
        before, after = current.section(kind), result.section(kind)
        steps += [_step(kind, ident, before.get(ident), after.get(ident)) for ident in sorted(before.keys() | after.keys())]
    return Plan((*steps, *_settings_step(current, result)), result)


def _settings_step(current: Document, result: Document) -> list[Step]:
    """The step of the server's settings: there when they change, for they are always there."""
    before, after = (to_plain(document.settings or ServerSettings()) for document in (current, result))
    names = [name for name in ServerSettings.__struct_fields__ if before.get(name) != after.get(name)]
    changes = tuple(Change(name, before.get(name), after.get(name)) for name in names)
    return [Step(SETTINGS, SERVER, Action.UPDATE, changes)] if changes else []


def listed_refs(document: Document) -> frozenset[str]:
    """The references of all keys that a document lists."""
    owners: list[ReceiverDoc | ViewDoc] = [*document.receivers.values(), *document.views.values()]
    return frozenset(entry.ref for owner in owners for entry in owner.api_keys or ())


def without_keys(document: Document, refs: frozenset[str]) -> Document:
    """The document without the keys of these references."""
    if not refs:
        return document
    return msgspec.structs.replace(
        document,
        receivers={ident: _lacking(entry, refs) for ident, entry in document.receivers.items()},
        views={ident: _lacking(entry, refs) for ident, entry in document.views.items()},
    )


def _lacking(entry: E, refs: frozenset[str]) -> E:
    if entry.api_keys is None:
        return entry
    return msgspec.structs.replace(entry, api_keys=tuple(key for key in entry.api_keys if key.ref not in refs))


def _step(kind: str, ident: str, before: Entry | None, after: Entry | None) -> Step:
    old, new = (to_plain(entry) if entry else {} for entry in (before, after))
    names = list(new) or list(old)
    changes = tuple(Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))
    if before is None:
        return Step(kind, ident, Action.CREATE, changes)
    if after is None:
        return Step(kind, ident, Action.DELETE, changes)
    return Step(kind, ident, Action.UPDATE if changes else Action.UNCHANGED, changes)


def _with_keys(before: Entry | None, wanted: Entry, kept_refs: frozenset[str]) -> Entry:
    if not isinstance(wanted, ReceiverDoc | ViewDoc):
        return wanted
    present: tuple[KeyEntry, ...] = (before.api_keys or ()) if isinstance(before, ReceiverDoc | ViewDoc) else ()
    if wanted.api_keys is None:
        return msgspec.structs.replace(wanted, api_keys=present)
    listed = {entry.ref for entry in wanted.api_keys}
    kept = [entry for entry in present if entry.ref in kept_refs and entry.ref not in listed]
    ordered = sorted([*wanted.api_keys, *kept], key=lambda entry: (entry.ref, entry.pipe_id))
    return msgspec.structs.replace(wanted, api_keys=tuple(ordered))

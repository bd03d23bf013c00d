"""From YAML texts to one typed document without secrets. Called by import_config, the API and the import page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from apps.pipes.config import yaml_text
from apps.pipes.config.document import KINDS, SETTINGS, Document, from_plain
from apps.pipes.config.faults import Notice, refuse
from apps.pipes.config.legacy import Legacy
from apps.pipes.config.normalise import Notes, Plain, normalise
from apps.pipes.config.secrets import Secrets
from apps.pipes.hashing import Fingerprint
from apps.runtime.server_settings import ServerSettings
from apps.runtime.shape import reason_and_place


@dataclass(frozen=True)
class Text:
    """One YAML text and the name of the file it came from."""

    name: str
    content: str


@dataclass(frozen=True)
class Reading:
    """What texts say: the document, the fingerprints of the keys that they brought, and what to know about it."""

    document: Document
    secrets: dict[str, Fingerprint]
    notices: list[Notice]


def read(
    texts: Sequence[Text], *, variables: Mapping[str, str], known_ref: Callable[[str], str | None], agent_id: str = ""
) -> Reading:
    """Read texts as one configuration. Raises Invalid with every fault found.

    `agent_id`: the agent whose files these are, for files that do not say so themselves.
    """
    notes, legacy = Notes(), Legacy(agent_id)
    sections: Plain = {kind: {} for kind in KINDS}
    for text in texts:
        raw = legacy.unified(yaml_text.load(text.content, text.name, variables), text.name, notes)
        _merge(sections, normalise(raw, text.name, notes), text.name, notes)
    legacy.complete(sections, notes)
    secrets = Secrets(known_ref)
    document = _typed(secrets.take_out(sections, notes), notes)
    refuse(notes.faults)
    return Reading(document, secrets.brought, notes.notices)


def _merge(sections: Plain, more: Plain, where: str, notes: Notes) -> None:
    if SETTINGS in more:
        sections[SETTINGS] = {**sections.get(SETTINGS, {}), **more[SETTINGS]}
    for kind, objects in more.items():
        if kind == SETTINGS:
            continue
        for ident, fields in objects.items():
            present = sections[kind].get(ident)
            if present is None:
                sections[kind][ident] = fields
            elif kind == "agents":
                pipes = {**present.get("pipes", {}), **fields.get("pipes", {})}
                sections[kind][ident] = {**present, **fields, "pipes": pipes}
            elif present != fields:
                fix = "Give one of them another id, or make them equal."
                notes.fault(f"{where}: {kind}.{ident}", "An earlier file describes this object differently.", fix)


def _typed(sections: Plain, notes: Notes) -> Document:
    typed = {kind: _typed_section(kind, sections[kind], notes) for kind in KINDS}
    if SETTINGS in sections:
        typed |= {SETTINGS: _typed_settings(sections[SETTINGS], notes)}
    if notes.faults:
        return Document()
    try:
        # checks the ids; the objects are typed already
        return from_plain(msgspec.to_builtins(typed), Document)
    except msgspec.ValidationError as error:
        reason, place = reason_and_place(error)
        notes.fault(place or "configuration", reason, "Ids are letters, digits, `_`, `-` and `.`.")
        return Document()


def _typed_settings(fields: Plain, notes: Notes) -> Plain:
    try:
        return msgspec.structs.asdict(from_plain(fields, ServerSettings))
    except msgspec.ValidationError as error:
        reason, place = reason_and_place(error)
        notes.fault(f"{SETTINGS}.{place}" if place else SETTINGS, reason, "See the Settings page for what each may be.")
        return {}


def _typed_section(kind: str, objects: dict[str, Any], notes: Notes) -> dict[str, Any]:
    typed = {}
    for ident, fields in sorted(objects.items()):
        try:
            typed[ident] = from_plain(fields, KINDS[kind])
        except msgspec.ValidationError as error:
            reason, place = reason_and_place(error)
            where = f"{kind}.{ident}.{place}" if place else f"{kind}.{ident}"
            notes.fault(where, reason, f"Fields are {', '.join(KINDS[kind].__struct_fields__)}.")
    return typed

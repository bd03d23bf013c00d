"""The split V2 layout and the names before it, turned into sections of the unified file. Called by reading, for every text.

Which file says what is told by its name: `receivers-config.yaml` is a section, every file below `views-config/` is one object.
Old names work until REMOVAL and leave a notice with the new name.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from apps.pipes.config.document import KINDS
from apps.pipes.config.normalise import Notes, Plain

REMOVAL = "2027-12-31"
SECTION_FILES = {
    "receivers-config": "receivers",
    "sources-config": "sources",
    "senders-config": "senders",
    "pushers-config": "pushers",
    "datastores-config": "datastores",
    "views-config": "datastores",  # a single file of this name is what datastores-config.yaml was called for a while
}
OBJECT_FOLDERS = {
    "views-config": "views",
    "fusion-pipes-config": "pipes",
    "agent-pipes-config": "pipes",
    "syncs-config": "syncs",
}
OLD_SECTIONS = {"pushers": "senders", "syncs": "pipes"}
RECEIVER_OF_DATASTORES = "http-main"


@dataclass
class Legacy:
    """What old files say that only makes sense when all files are read: datastores, and which views they feed."""

    agent_id: str = ""
    datastores: dict[str, Plain] = field(default_factory=dict)
    fed_views: dict[str, list[str]] = field(default_factory=dict)

    def unified(self, raw: Plain, name: str, notes: Notes) -> Plain:
        """The text in the shape of a unified file."""
        sections = _by_file_name(raw, name)
        for old, new in OLD_SECTIONS.items():
            if old in sections:
                notes.notice(f"{name}: {old}", _renamed(new))
                sections[new] = {**(sections.pop(old) or {}), **(sections.get(new) or {})}
        self._take_datastores(sections, name, notes)
        self._rename_fields(sections, notes)
        if self.agent_id:
            sections.setdefault("agent_id", self.agent_id)
        return sections

    def complete(self, sections: Plain, notes: Notes) -> None:
        """Add what the datastores stand for: a receiver key, a pipe, and a view unless another file gave it views."""
        for ident, old in self.datastores.items():
            self._expand_datastore(sections, ident, old)
        _expand_multi_views(sections, notes)

    def _take_datastores(self, sections: Plain, name: str, notes: Notes) -> None:
        old = sections.pop("datastores", None)
        if isinstance(old, dict) and old:
            notes.notice(f"{name}: datastores", f"a datastore becomes a view with its pipe and receiver key; {_until()}")
            self.datastores |= {str(ident): fields or {} for ident, fields in old.items()}

    def _rename_fields(self, sections: Plain, notes: Notes) -> None:
        for ident, fields in _objects(sections, "pipes"):
            if "pusher" in fields:
                notes.notice(f"pipes.{ident}.pusher", _renamed("sender"))
                fields["sender"] = fields.pop("pusher")
        for ident, fields in _objects(sections, "views"):
            if "datastore_id" in fields:
                notes.notice(f"views.{ident}.datastore_id", f"the pipe of that name feeds the view now; {_until()}")
                self.fed_views.setdefault(str(fields.pop("datastore_id")), []).append(str(ident))
        for ident, fields in _objects(sections, "senders"):
            parameters = fields.get("driver_params")
            if isinstance(parameters, dict) and "datastore_id" in parameters:
                notes.notice(f"senders.{ident}.driver_params.datastore_id", "left out: the key says where events go.")
                fields["driver_params"] = {key: value for key, value in parameters.items() if key != "datastore_id"}

    def _expand_datastore(self, sections: Plain, ident: str, old: Plain) -> None:
        views = self.fed_views.get(ident) or [ident]
        for view in views:
            sections["views"].setdefault(view, {})
        kept: Plain = {name: old[name] for name in ("session_timeout_seconds", "allow_concurrent_push") if name in old}
        pipe: Plain = {"receiver": RECEIVER_OF_DATASTORES, "views": views, **kept}
        sections["pipes"].setdefault(ident, pipe)
        receiver = sections["receivers"].setdefault(RECEIVER_OF_DATASTORES, {})
        if old.get("api_key"):
            receiver.setdefault("api_keys", []).append({"key": old["api_key"], "pipe_id": ident})


def _by_file_name(raw: Plain, name: str) -> Plain:
    path = PurePosixPath(name.replace("\\", "/"))
    folder = path.parent.name
    if folder in OBJECT_FOLDERS:
        ident = str(raw.get("id") or path.stem)
        fields = {key: value for key, value in raw.items() if key not in {"id", "agent_id"}}
        return {OBJECT_FOLDERS[folder]: {ident: fields}, **_agent_of(raw)}
    section = SECTION_FILES.get(path.stem)
    if section is None or raw.keys() & (KINDS.keys() | OLD_SECTIONS.keys() | {"datastores"}):
        return dict(raw)
    return {section: raw}


def _agent_of(raw: Plain) -> Plain:
    return {"agent_id": raw["agent_id"]} if raw.get("agent_id") else {}


def _objects(sections: Plain, kind: str) -> list[tuple[Any, Plain]]:
    """The objects of a section as copies that may be changed in place."""
    objects = sections.get(kind)
    if not isinstance(objects, dict):
        return []
    copied: Plain = {ident: dict(fields) if isinstance(fields, dict) else fields for ident, fields in objects.items()}
    sections[kind] = copied
    return [(ident, fields) for ident, fields in copied.items() if isinstance(fields, dict)]


def _expand_multi_views(sections: Plain, notes: Notes) -> None:
    """A `multi-fs` view of other views is a forest fed by the pipes of these views."""
    for ident, fields in sections["views"].items():
        if fields.get("driver") != "multi-fs":
            continue
        notes.notice(f"views.{ident}.driver", "`multi-fs` is `fs-forest` now, fed by the pipes of its members.")
        members = set((fields.get("driver_params") or {}).get("members") or [])
        fields["driver"], fields["driver_params"] = "fs-forest", {}
        for pipe in sections["pipes"].values():
            views = pipe.get("views")
            if isinstance(views, list) and members & set(views) and ident not in views:
                pipe["views"] = [*views, ident]


def _renamed(new: str) -> str:
    return f"is called `{new}` now; {_until()}"


def _until() -> str:
    return f"the old name works until {REMOVAL}."

"""From what people wrote to the shape of the document: short forms, fields of the V2 files, agent pipes among server pipes.

Pure. Everything that is dropped or renamed leaves a notice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.pipes.config.document import KINDS, SETTINGS
from apps.pipes.config.faults import Fault, Notice
from apps.pipes.drivers import receiver_drivers, view_drivers
from apps.runtime.server_settings import ServerSettings

Plain = dict[str, Any]

# sections of V2 files that configure the old processes themselves, not what they serve
PROCESS_SECTIONS = frozenset({"fusion", "agent", "logging", "management", "format"})
# fields of V2 that this server has no use for: it listens on one address, set by its own options
DROPPED = {
    "receivers": frozenset({"bind_host", "host", "port"}),
    "pipes": frozenset({"extra"}),
    "views": frozenset({"extra"}),
    "sources": frozenset({"credential"}),
}
# of these kinds the server knows the settings; those of sources and senders are the agent's
DRIVERS = {"receivers": receiver_drivers, "views": view_drivers}
DEFAULT_DRIVERS = {"receivers": "http", "views": "fs"}
AGENT_PIPE_FIELDS = frozenset({"source", "sender", "pipe", "name", "disabled", "settings"})
OLD_VIEW_PARAMETERS = {"tombstone_ttl_seconds": "tombstone_floor", "hot_item_threshold": "hot_file_threshold"}


@dataclass
class Notes:
    """Faults and notices as they are found."""

    faults: list[Fault] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def fault(self, where: str, what: str, fix: str = "") -> None:
        """Add a fault."""
        self.faults.append(Fault(where, what, fix))

    def notice(self, where: str, what: str) -> None:
        """Add a notice."""
        self.notices.append(Notice(where, what))


def normalise(raw: Plain, where: str, notes: Notes) -> Plain:
    """The sections of one unified file in the shape of the document (values are still unchecked)."""
    sections: Plain = {kind: {} for kind in KINDS}
    agent_id = str(raw.get("agent_id") or "")
    for name, objects in raw.items():
        if name in KINDS:
            for ident, fields in _objects(objects, f"{where}: {name}", notes):
                _place(sections, name, ident, fields, agent_id, notes)
        elif name == SETTINGS:
            sections[SETTINGS] = _settings(objects, where, notes)
        elif name in PROCESS_SECTIONS:
            notes.notice(f"{where}: {name}", "not read: it configured the old processes, not what they serve.")
        elif name != "agent_id":
            notes.notice(f"{where}: {name}", f"no such section here, ignored. Sections are {', '.join((*KINDS, SETTINGS))}.")
    return sections


def _settings(fields: Any, where: str, notes: Notes) -> Plain:
    if fields is None or isinstance(fields, dict):
        known = {str(name): value for name, value in (fields or {}).items() if value is not None}
        return _only(frozenset(ServerSettings.__struct_fields__), SETTINGS, known, notes)
    notes.fault(f"{where}: {SETTINGS}", "This section must map settings to values.", "Write `name: value` below it.")
    return {}


def _objects(objects: Any, where: str, notes: Notes) -> Iterator[tuple[str, Plain]]:
    if objects is None:
        return
    if not isinstance(objects, dict):
        notes.fault(where, "This section must map ids to objects.", "Write `id:` and its fields below it.")
        return
    for ident, fields in objects.items():
        if fields is None or isinstance(fields, dict):
            yield str(ident), {str(name): value for name, value in (fields or {}).items()}
        else:
            notes.fault(f"{where}.{ident}", "An object must be a mapping of fields.")


def _place(sections: Plain, kind: str, ident: str, fields: Plain, agent_id: str, notes: Notes) -> None:
    where = f"{kind}.{ident}"
    if kind == "pipes" and "receiver" not in fields and ("source" in fields or "sender" in fields):
        _place_agent_pipe(sections, ident, fields, agent_id, notes)
        return
    fields = _without_dropped(kind, where, _enabled_to_disabled(fields), notes)
    if kind == "receivers":
        fields = _receiver(where, fields, notes)
    elif kind == "views":
        fields = _view(where, fields, notes)
    elif kind == "senders":
        fields = _sender(where, fields, notes)
    elif kind == "pipes":
        fields = _pipe(fields)
    elif kind == "agents":
        fields = _agent(fields)
    sections[kind][ident] = _known_fields(kind, where, fields, notes)


def _known_fields(kind: str, where: str, fields: Plain, notes: Notes) -> Plain:
    """Files in the field carry names of other versions: what is not known is told and left out, it does not stop the import."""
    allowed = frozenset(KINDS[kind].__struct_fields__)
    known = _only(allowed, where, fields, notes)
    driver = DRIVERS[kind]().get(str(known.get("driver", DEFAULT_DRIVERS[kind]))) if kind in DRIVERS else None
    if driver is not None and isinstance(known.get("driver_params"), dict):
        settings = frozenset(driver.settings.__struct_fields__)
        known["driver_params"] = _only(settings, f"{where}.driver_params", known["driver_params"], notes)
    return known


def _only(allowed: frozenset[str], where: str, fields: Plain, notes: Notes) -> Plain:
    for name in sorted(str(name) for name in fields.keys() - allowed):
        notes.notice(f"{where}.{name}", f"not known here, ignored. Known: {', '.join(sorted(allowed))}.")
    return {name: value for name, value in fields.items() if name in allowed}


def _place_agent_pipe(sections: Plain, ident: str, fields: Plain, agent_id: str, notes: Notes) -> None:
    if not agent_id:
        fix = "Write `agent_id: <id>` at the top of the file, or list the pipe under `agents.<id>.pipes`."
        notes.fault(f"pipes.{ident}", "A pipe from a source to a sender runs on an agent, and the file names none.", fix)
        return
    agent = sections["agents"].setdefault(agent_id, {})
    agent.setdefault("pipes", {})[ident] = _agent_pipe(fields)


def _agent_pipe(fields: Plain) -> Plain:
    """Fields that are not of every agent pipe (intervals, batch size, mapping) are its settings."""
    fields = _enabled_to_disabled(fields)
    extra = {name: value for name, value in fields.items() if name not in AGENT_PIPE_FIELDS}
    known = {name: value for name, value in fields.items() if name in AGENT_PIPE_FIELDS}
    if extra:
        known["settings"] = {**known.get("settings", {}), **extra}
    return known


def _agent(fields: Plain) -> Plain:
    pipes = fields.get("pipes")
    if not isinstance(pipes, dict):
        return fields
    return fields | {"pipes": {str(ident): _agent_pipe(pipe) if isinstance(pipe, dict) else pipe for ident, pipe in pipes.items()}}


def _enabled_to_disabled(fields: Plain) -> Plain:
    if "enabled" not in fields or "disabled" in fields:
        return fields
    rest = {name: value for name, value in fields.items() if name != "enabled"}
    return rest | {"disabled": not fields["enabled"]}


def _without_dropped(kind: str, where: str, fields: Plain, notes: Notes) -> Plain:
    dropped = DROPPED.get(kind, frozenset()) & fields.keys()
    for name in sorted(dropped):
        notes.notice(f"{where}.{name}", "not needed any more, left out.")
    return {name: value for name, value in fields.items() if name not in dropped and name != "id"}


def _receiver(where: str, fields: Plain, notes: Notes) -> Plain:
    if "session_timeout_seconds" in fields:
        notes.notice(f"{where}.session_timeout_seconds", "left out: the timeout is a field of each pipe.")
        fields = {name: value for name, value in fields.items() if name != "session_timeout_seconds"}
    return _with_key_entries(fields)


def _view(where: str, fields: Plain, notes: Notes) -> Plain:
    fields = _with_key_entries(fields)
    parameters = fields.get("driver_params")
    if not isinstance(parameters, dict):
        return fields if parameters is not None else {name: value for name, value in fields.items() if name != "driver_params"}
    flat = {**{k: v for k, v in parameters.items() if k != "consistency"}, **(parameters.get("consistency") or {})}
    return fields | {"driver_params": _renamed_parameters(where, flat, notes)}


def _renamed_parameters(where: str, parameters: Plain, notes: Notes) -> Plain:
    renamed: Plain = {}
    for name, value in parameters.items():
        new = OLD_VIEW_PARAMETERS.get(name, name)
        if name == "suspect_ttl_seconds":
            notes.notice(f"{where}.driver_params.{name}", "left out: `hot_file_threshold` says how long a file stays suspect.")
            continue
        if new != name:
            notes.notice(f"{where}.driver_params.{name}", f"is called `{new}` now.")
        renamed[new] = value
    return renamed


def _sender(where: str, fields: Plain, notes: Notes) -> Plain:
    if "endpoint" in fields:
        notes.notice(f"{where}.endpoint", "is called `uri` now.")
        fields = {("uri" if name == "endpoint" else name): value for name, value in fields.items()}
    if fields.get("driver") == "fusion":
        notes.notice(f"{where}.driver", "the driver `fusion` is called `http` now.")
        fields = fields | {"driver": "http"}
    return fields


def _with_key_entries(fields: Plain) -> Plain:
    """`api_keys` may be a list of texts; `api_key` one text: both become entries."""
    if "api_key" in fields and "api_keys" not in fields:
        fields = {("api_keys" if name == "api_key" else name): value for name, value in fields.items()}
        fields["api_keys"] = [fields["api_keys"]]
    listed = fields.get("api_keys")
    if not isinstance(listed, list):
        return fields
    return fields | {"api_keys": [_key_entry(entry) for entry in listed]}


def _key_entry(entry: Any) -> Any:
    if isinstance(entry, str | int):
        return {"key": str(entry)}
    if isinstance(entry, dict) and isinstance(entry.get("pipe_id"), int):
        return entry | {"pipe_id": str(entry["pipe_id"])}
    return entry


def _pipe(fields: Plain) -> Plain:
    """Ids that look like numbers are read as numbers by YAML; they are texts here."""
    if isinstance(fields.get("receiver"), int):
        fields = fields | {"receiver": str(fields["receiver"])}
    if isinstance(fields.get("views"), list):
        fields = fields | {"views": [str(view) if isinstance(view, int) else view for view in fields["views"]]}
    return fields

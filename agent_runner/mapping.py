"""Fields mapping as a projection of rows: compiled once per pipe, applied where rows are encoded. Empty = untouched."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from agent_runner import wire_v2
from agent_runner.problems import ConfigProblem
from fustor_schema.sources import PROTOCOL_V3
from fustor_schema.wire import Event, FsRow

Projection = Callable[[FsRow], dict[str, Any]]
_Getter = Callable[[dict[str, Any]], Any]

_TYPES: dict[str, Callable[[Any], Any]] = {
    "string": str,
    "str": str,
    "integer": int,
    "int": int,
    "number": float,
    "float": float,
    "boolean": bool,
    "bool": bool,
}
# what tells the server which path is meant and what kind of row it is: no mapping may lose these
_KEPT = ("path", "path_b64", "kind", "ok", "reason", "count", "names_hash", "scan_start", "is_directory", "audit_skipped")
_KNOWN = frozenset(FsRow.__struct_fields__) | {"file_name"}


def compile_projection(mapping: Sequence[dict[str, Any]]) -> Projection | None:
    """The projection of `[{to, source: ["field:type"], hardcoded_value}]`, None for an empty one. Raises ConfigProblem."""
    if not mapping:
        return None
    getters = [(str(item["to"]).rpartition(".")[2], _getter(item)) for item in mapping]

    def project(row: FsRow) -> dict[str, Any]:
        fields = msgspec.to_builtins(row)
        if row.kind == "dir_close":
            return dict(fields)
        projected = {name: fields[name] for name in _KEPT if name in fields}
        projected.update({to: value for to, get in getters if (value := get(fields)) is not None})
        return projected

    return project


def _getter(item: dict[str, Any]) -> _Getter:
    constant = item.get("hardcoded_value")
    if constant is not None:
        return lambda fields: constant
    readers = [_reader(text, item["to"]) for text in item.get("source", [])]
    if not readers:
        raise ConfigProblem(
            f"fields_mapping: {item['to']!r} has neither source nor hardcoded_value", "Add one of them, or delete the entry."
        )
    return lambda fields: next((value for read in readers if (value := read(fields)) is not None), None)


def _reader(text: str, to: str) -> _Getter:
    name, _, type_name = str(text).rpartition(".")[2].partition(":")
    if name not in _KNOWN:
        raise ConfigProblem(f"fields_mapping: {to!r} reads {name!r}, which no row has", f"Use one of {', '.join(sorted(_KNOWN))}.")
    if type_name and type_name not in _TYPES:
        raise ConfigProblem(
            f"fields_mapping: {to!r} wants type {type_name!r}, which is unknown", f"Use one of {', '.join(sorted(_TYPES))}."
        )
    cast = _TYPES.get(type_name)

    def read(fields: dict[str, Any]) -> Any:
        value = fields.get(name)
        return value if cast is None or value is None else cast(value)

    return read


def event_encoder(mapping: Sequence[dict[str, Any]], protocol: int = PROTOCOL_V3) -> Callable[[Event], bytes]:
    """Encodes one event as JSON, rows projected; for a server of protocol 2 as the events that stand for it there (joined by
    commas, empty when there are none). Raises ConfigProblem when the mapping cannot be used."""
    encode = msgspec.json.Encoder().encode
    project = compile_projection(mapping)
    if protocol < PROTOCOL_V3:
        return lambda event: b",".join(encode(old) for old in wire_v2.events(event, project))
    if project is None:
        return encode

    def encode_projected(event: Event) -> bytes:
        fields = msgspec.to_builtins(event)
        fields["rows"] = [project(row) for row in event.rows]
        return encode(fields)

    return encode_projected

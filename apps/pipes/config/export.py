"""The configuration as YAML. Equal configurations give equal bytes: export → wipe → import → export changes nothing."""

from typing import Any

from apps.pipes.config import yaml_text
from apps.pipes.config.document import SETTINGS, Document, to_plain
from apps.pipes.config.render import render

# worth a line even when empty or off
ALWAYS = frozenset({"api_keys", "views", "allow_concurrent_push"})


def export_text(document: Document | None = None) -> str:
    """Canonical YAML of a document; without one, of the present configuration."""
    return yaml_text.dump(_without_blanks(to_plain(render() if document is None else document)))


def _without_blanks(plain: dict[str, Any]) -> dict[str, Any]:
    """Fields that say nothing (no name, no labels, not disabled) are left out, sections, `api_keys` and set settings stay."""
    sections: dict[str, Any] = {}
    for kind, objects in plain.items():
        if kind == SETTINGS:
            continue
        sections[kind] = {ident: _object(fields) for ident, fields in objects.items()}
    return sections | ({SETTINGS: plain[SETTINGS]} if plain.get(SETTINGS) else {})


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if name in ALWAYS or not _says_nothing(value)}
    if "pipes" in kept:
        kept["pipes"] = {ident: _object(pipe) for ident, pipe in kept["pipes"].items()}
    return kept


def _says_nothing(value: Any) -> bool:
    # by type: 0 seconds is a setting
    return value is None or value is False or value in ("", {})

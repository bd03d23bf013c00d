"""Secrets on the way in: every key value is replaced by its reference before anything is compared, stored, shown or logged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.pipes import hashing
from apps.pipes.config.normalise import Notes, Plain

REFERENCES = frozenset({"key_ref", "env", "file", "user"})


@dataclass
class Secrets:
    """The secrets that a text brought, as fingerprints by reference. `known_ref` finds the reference of a stored secret."""

    known_ref: Callable[[str], str | None]
    brought: dict[str, hashing.Fingerprint] = field(default_factory=dict)

    def take_out(self, sections: Plain, notes: Notes) -> Plain:
        """The sections with references in place of secrets."""
        for kind in ("receivers", "views"):
            for ident, fields in sections[kind].items():
                if isinstance(fields.get("api_keys"), list):
                    fields["api_keys"] = [self._entry(f"{kind}.{ident}", entry, notes) for entry in fields["api_keys"]]
        for ident, fields in sections["senders"].items():
            if isinstance(fields.get("credential"), dict):
                fields["credential"] = self._credential(f"senders.{ident}", fields["credential"], notes)
        return sections

    def reference(self, where: str, secret: object, notes: Notes) -> str:
        """The reference of a secret; a fault for one that no client could send."""
        text = str(secret)
        if not hashing.is_plausible(text):
            notes.fault(f"{where}.api_keys", "A key must be 1 to 512 visible ASCII characters.", "Make a new key.")
            return ""
        if len(text) < hashing.SHORTEST_STRONG_SECRET:
            notes.notice(f"{where}.api_keys", "a key is short enough to be guessed; it works, but rotate it soon.")
        kept = hashing.fingerprint(text)
        ref = self.known_ref(text) or kept.ref
        self.brought[ref] = kept
        return ref

    def _entry(self, where: str, entry: Any, notes: Notes) -> Any:
        if not isinstance(entry, dict) or "key" not in entry:
            return entry
        rest = {name: value for name, value in entry.items() if name != "key"}
        return {"ref": self.reference(where, entry["key"], notes), **rest}

    def _credential(self, where: str, credential: Plain, notes: Notes) -> Plain:
        kept = {str(name): str(value) for name, value in credential.items() if name in REFERENCES}
        if credential.get("key"):
            kept["key_ref"] = self.reference(where, credential["key"], notes)
        for name in sorted(credential.keys() - REFERENCES - {"key"}):
            notes.notice(f"{where}.credential.{name}", "a secret is never kept here: set it on the agent as `env` or `file`.")
        return kept

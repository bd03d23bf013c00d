"""Ids of configured objects in URLs: `<ident:slug>`. The same letters as the configuration takes (apps.pipes.config.document)."""

import re

PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"


class IdentConverter:
    """Django's path converter: letters, digits, `_`, `-` and `.`."""

    regex = PATTERN

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


def is_ident(text: str) -> bool:
    """Whether a text can be an id at all; what cannot is not for the database."""
    return re.fullmatch(PATTERN, text) is not None

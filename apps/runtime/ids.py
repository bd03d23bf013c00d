"""The one place for identifiers."""

import secrets
import uuid


def new_uuid() -> uuid.UUID:
    """A random 122-bit identifier for sessions, jobs and commands."""
    return uuid.uuid4()


def new_secret() -> str:
    """256 random bits as URL-safe text, for keys and tokens."""
    return secrets.token_urlsafe(32)

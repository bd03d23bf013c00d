"""The one place where secrets of keys and tokens are made and hashed. Called by apps.pipes.keys, enrolment and the YAML import.

At rest there is only HMAC-SHA256(pepper, secret). The first pepper hashes, the others still verify, so a pepper can be rotated.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

from django.conf import settings

from apps.runtime.ids import new_secret

LONGEST_SECRET = 512
SHORTEST_STRONG_SECRET = 24
SHOWN_START = 8
SHOWN_END = 4
OWN_SECRET = re.compile(r"fk[a-z]_[A-Za-z0-9_-]{40,}")


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a secret: its keyed hash and the few characters by which people tell secrets apart."""

    digest: str
    prefix: str
    last_four: str

    @property
    def ref(self) -> str:
        """Name of the secret in YAML: stable for one secret and pepper, and silent about the secret."""
        return f"k-{self.digest[:16]}"


def make_secret(start: str) -> str:
    """A new secret of 256 random bits with a readable start."""
    return f"{start}_{new_secret()}"


def digest(secret: str, pepper: str) -> str:
    """Keyed hash of a secret, as 64 hexadecimal digits."""
    return hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()


def digests(secret: str) -> list[str]:
    """The hashes that a stored secret may have, one per configured pepper, the present pepper first."""
    return [digest(secret, pepper) for pepper in settings.FUSTOR_KEY_PEPPERS]


def fingerprint(secret: str) -> Fingerprint:
    """What to store of a secret. Of a short one (they come from old YAML only) nothing is shown: it could be guessed."""
    kept = digest(secret, settings.FUSTOR_KEY_PEPPERS[0])
    if len(secret) < SHORTEST_STRONG_SECRET:
        return Fingerprint(kept, "short", kept[-SHOWN_END:])
    return Fingerprint(kept, secret[:SHOWN_START], secret[-SHOWN_END:])


def readable_start(given: str) -> str:
    """The visible start of what looks like a key made here; nothing of anything else."""
    looks_like_one = OWN_SECRET.fullmatch(given) is not None
    return f"{given[:SHOWN_START]}…" if looks_like_one else ""


def is_plausible(secret: str) -> bool:
    """Whether a text can be a secret at all; what cannot is refused before it costs a hash or a query."""
    return 0 < len(secret) <= LONGEST_SECRET and secret.isascii() and secret.isprintable() and " " not in secret


def same(one: str, other: str) -> bool:
    """Comparison in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())

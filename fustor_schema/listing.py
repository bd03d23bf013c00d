"""The fingerprint of a directory's listing: both sides compute it, so a `dir_close` proves which names were listed (R11)."""

from collections.abc import Iterable
from hashlib import blake2b

_MASK = (1 << 64) - 1


def name_digest(name: bytes) -> int:
    """64-bit digest of one raw name."""
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")


def names_hash(names: Iterable[bytes]) -> str:
    """16 hex digits, independent of order: the sum of the digests of all raw names, modulo 2^64."""
    total = 0
    for name in names:
        total += name_digest(name)
    return f"{total & _MASK:016x}"

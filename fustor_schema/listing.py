"""The fingerprint of a directory's listing: both sides compute it, so a `dir_close` proves which names were listed (R11).

It guards against rows that got lost, not against people: two checksums side by side cost a scan a quarter of what a
cryptographic digest does, for every name of the tree.
"""

from collections.abc import Iterable
from zlib import adler32, crc32

_MASK = (1 << 64) - 1


def name_digest(name: bytes) -> int:
    """64-bit digest of one raw name; never 0."""
    return adler32(name) << 32 | crc32(name)


def names_hash(names: Iterable[bytes]) -> str:
    """16 hex digits, independent of order: the sum of the digests of all raw names, modulo 2^64."""
    return hash_of_sum(sum(map(name_digest, names)))


def hash_of_sum(total: int) -> str:
    """The hash of names whose digests were added up one by one."""
    return f"{total & _MASK:016x}"

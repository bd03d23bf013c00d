"""Paths are bytes, carried as text without loss (R34).

A file name is any bytes but NUL and `/`. JSON, SQLite and PostgreSQL want text. A *key* is the one text form used in
memory and in the database: valid UTF-8 stands for itself, every other byte b becomes the character U+10FF00 + b. A name that
really holds one of those 256 characters has its four bytes escaped one by one, so two names never share a key.

    wire text or path_b64 --normalise/from_bytes--> key --to_bytes/display--> wire
"""

import base64
import binascii
import codecs
import os
import re
from collections.abc import Iterable

ROOT = "/"
MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255
_ESCAPE_BASE = 0x10FF00
_ESCAPED = re.compile("[\U0010ff00-\U0010ffff]")
_ESCAPE_RANGE_UTF8 = re.compile(rb"(\xf4\x8f[\xbc-\xbf][\x80-\xbf])")


class PathError(ValueError):
    """A path that the view cannot hold; the text says why, in words fit for an answer."""


def _escape_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _escape_bytes(error.object[error.start : error.end]), error.end


def _escape_bytes(raw: bytes) -> str:
    return "".join(chr(_ESCAPE_BASE + byte) for byte in raw)


codecs.register_error("fustor_key", _escape_undecodable)


def from_bytes(raw: bytes) -> str:
    """The key of raw path bytes (not normalised). Inverse of `to_bytes`."""
    try:
        text = raw.decode()
        if not _ESCAPED.search(text):
            return text
    except UnicodeDecodeError:
        pass
    pieces = _ESCAPE_RANGE_UTF8.split(raw)
    return "".join(_escape_bytes(piece) if index % 2 else piece.decode("utf-8", "fustor_key") for index, piece in enumerate(pieces))


def to_bytes(key: str) -> bytes:
    """The raw bytes of a key: what the kernel would be given."""
    if key.isascii() or not _ESCAPED.search(key):
        return key.encode()
    return b"".join(bytes([ord(char) - _ESCAPE_BASE]) if _ESCAPED.match(char) else char.encode() for char in key)


def is_escaped(key: str) -> bool:
    """True when the key stands for bytes that are not plain UTF-8, so an answer must carry `path_b64`."""
    return not key.isascii() and _ESCAPED.search(key) is not None


def is_plain_utf8(text: str) -> bool:
    """True when the text is its own key: no lone surrogates, none of the characters that stand for raw bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not is_escaped(text)


def display(key: str) -> str:
    r"""The key as people may read it: itself, or with `\xNN` for raw bytes and `\\` for a backslash (lossless)."""
    if not is_escaped(key):
        return key
    doubled = key.replace("\\", "\\\\")
    return _ESCAPED.sub(lambda match: f"\\x{ord(match[0]) - _ESCAPE_BASE:02x}", doubled)


def to_base64(key: str) -> str:
    """`path_b64` of a key: standard base64 of its raw bytes."""
    return base64.b64encode(to_bytes(key)).decode()


def from_base64(text: str) -> str:
    """The normalised key of a `path_b64` field. Raises PathError when it is no base64 or no good path."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PathError("path_b64 is not base64") from error
    return normalise_bytes(raw)


def normalise_bytes(raw: bytes) -> str:
    """The normalised key of raw bytes. Raises PathError."""
    return _checked(from_bytes(raw))


def normalise(text: str) -> str:
    """The normalised key of a path as it stands in JSON.

    Collapses `//`, `/.` and a trailing `/`. Python clients without `path_b64` send undecodable bytes as lone surrogates
    U+DC80..U+DCFF (os.fsdecode): these become the bytes they stand for. Raises PathError for an empty or relative path,
    NUL, `..`, any other surrogate, a component over 255 bytes, a path over 4,096 bytes.
    """
    if (
        text.isascii()
        and len(text) <= MAX_NAME_BYTES
        and text[:1] == "/"
        and text[-1] != "/"
        and "/." not in text
        and "//" not in text
        and "\0" not in text
    ):
        return text
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        try:
            raw = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise PathError("path holds a lone surrogate; send such a name as path_b64") from error
    return _checked(from_bytes(raw))


def _checked(key: str) -> str:
    if not key:
        raise PathError("path is empty")
    if key[0] != "/":
        raise PathError("path is relative; it must start with /")
    if "\0" in key:
        raise PathError("path holds a NUL")
    names = [name for name in key.split("/") if name not in ("", ".")]
    if ".." in names:
        raise PathError("path holds a .. component")
    if any(len(name) * 4 > MAX_NAME_BYTES and len(to_bytes(name)) > MAX_NAME_BYTES for name in names):
        raise PathError(f"a name in the path is over {MAX_NAME_BYTES} bytes")
    joined = "/" + "/".join(names)
    if len(joined) * 4 > MAX_PATH_BYTES and len(to_bytes(joined)) > MAX_PATH_BYTES:
        raise PathError(f"path is over {MAX_PATH_BYTES} bytes")
    return joined


def parent(key: str) -> str:
    """The parent directory's key; the root is its own parent."""
    return key.rpartition("/")[0] or ROOT


def name(key: str) -> str:
    """The last component; empty for the root."""
    return key.rpartition("/")[2]


def join(directory: str, child: str) -> str:
    """directory + child, with one slash."""
    return f"/{child}" if directory == ROOT else f"{directory}/{child}"


def ancestors(key: str) -> tuple[str, ...]:
    """Every directory above the key, nearest first, the root last; empty for the root itself."""
    above = []
    while key != ROOT:
        key = parent(key)
        above.append(key)
    return tuple(above)


def is_key(text: str) -> bool:
    """True when the text is a path that stands as the store writes it."""
    try:
        return normalise(text) == text
    except PathError:
        return False


def above_all(keys: Iterable[str]) -> set[str]:
    """Every directory above any of the keys, each once, and the root. What keys have in common is climbed once: a chain of two
    thousand directories costs two thousand steps, not two million."""
    found = {ROOT}
    for key in keys:
        directory = parent(key)
        while directory not in found:
            found.add(directory)
            directory = parent(directory)
    return found


def depth(key: str) -> int:
    """How many components the key has; 0 for the root."""
    return 0 if key == ROOT else key.count("/")


def is_within(key: str, scope: str) -> bool:
    """True when key is scope or lies below it, by components (R52: /data does not hold /database)."""
    return scope == ROOT or key == scope or key.startswith(scope + "/")


def from_local(relative: bytes | str) -> str:
    """The key of an absolute-within-the-root path that the operating system gave (bytes, or fsdecoded text)."""
    return normalise_bytes(os.fsencode(relative))

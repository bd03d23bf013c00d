"""Cursors: where a paged answer goes on (R46).

Positions are names, not numbers, so what comes and goes meanwhile shifts nothing.
"""

import base64
import binascii
import hashlib
from typing import Any

import msgspec
from django.core.signing import BadSignature, Signer

from apps.runtime.problems import Gone, Invalid
from apps.views.models import Tree


class Cursor(msgspec.Struct, array_like=True, frozen=True):
    """`generation`: when the tree became complete, so a reset is noticed. `question`: a digest of what was asked, so that a
    cursor is not used for another question. `position`: keys already answered.
    """

    tree: int
    generation: float
    as_of_seq: int
    question: str
    position: list[str]

    def text(self) -> str:
        """The cursor as clients carry it: signed, so what comes back is what was given."""
        return _signer().sign(base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("="))


def start(tree: Tree, question: str) -> Cursor:
    """The cursor before the first page. Changes after `as_of_seq` may be missing from pages: the change feed has them."""
    return Cursor(tree.pk, tree.snapshot_complete_at or 0.0, tree.change_seq, question, [])


def resume(text: str | None, tree: Tree, question: str) -> Cursor:
    """The cursor that a client sent, or the start. Raises Invalid when it is none of ours, Gone when the tree was reset since."""
    if not text:
        return start(tree, question)
    cursor = _read(text)
    if cursor.question != question:
        raise Invalid("This cursor belongs to another question.", field="cursor", fix="Send the same parameters with it.")
    if (cursor.tree, cursor.generation) != (tree.pk, tree.snapshot_complete_at):
        raise Gone("The view was reset since this cursor was made.", code="cursor_expired", fix="Start again without a cursor.")
    return cursor


def tree_of(text: str) -> int:
    """The tree whose position a cursor holds. Raises Invalid."""
    return _read(text).tree


def _read(text: str) -> Cursor:
    try:
        inner = _signer().unsign(text)
        return msgspec.json.decode(base64.urlsafe_b64decode(inner + "=" * (-len(inner) % 4)), type=Cursor)
    except (BadSignature, binascii.Error, msgspec.DecodeError) as error:
        raise Invalid("This cursor was not made by this server.", field="cursor", fix="Start again without a cursor.") from error


def _signer() -> Signer:
    return Signer(salt="views.cursor")


def after(cursor: Cursor, *position: str) -> Cursor:
    """The cursor behind a position."""
    return msgspec.structs.replace(cursor, position=list(position))


def question_of(*parts: Any) -> str:
    """What a cursor is bound to, short."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()

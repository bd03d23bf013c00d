"""Who reads at a socket: a person by a login, or a program by a key; asked when it opens and at every look of its room.

A login that ended (logout, a changed password, ended by an admin) and a key that was revoked or ran out close their sockets.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.models import Session as Login
from django.utils.crypto import constant_time_compare

from apps.pipes import keys
from apps.pipes.addresses import address_of
from apps.pipes.models import KeyKind
from apps.pipes.permissions import Verb
from apps.pipes.principals import KeyPrincipal
from apps.runtime import clock
from apps.runtime.problems import Forbidden, Unauthorized
from apps.sessions.boards.base import Board
from apps.sessions.sight import Sight, sights_of


@dataclass(frozen=True)
class Reader:
    """A person (`user_id`, and `login`: the key of the login session) or a program (`key_id`, and the `address` it calls from)."""

    user_id: int = 0
    login: str = ""
    key_id: int = 0
    address: str = ""


def key_in(headers: Mapping[bytes, bytes]) -> str | None:
    """The API key that a handshake carries, as in the API: `X-API-Key`, or `Authorization: Bearer`."""
    given = headers.get(b"x-api-key")
    if given is not None:
        return given.decode("latin-1")
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def reader_of(scope: Mapping[str, Any]) -> Reader:
    """Who opens this socket. Raises Unauthorized (nobody, or no valid key), Busy (too many wrong keys). Blocking."""
    headers = dict(scope["headers"])
    secret = key_in(headers)
    if secret is not None:
        peer = scope.get("client") or ("",)
        address = address_of(str(peer[0]), headers.get(b"x-forwarded-for", b"").decode("latin-1"))
        return Reader(key_id=keys.authenticate(secret, address).key.pk, address=address)
    user, login = scope.get("user"), scope.get("session")
    if user is None or not user.is_authenticated or login is None:
        raise Unauthorized("Log in, or send a key.")
    return Reader(user_id=user.pk, login=str(login.session_key))


def entrance(reader: Reader, board_of: type[Board]) -> Sight:
    """The sight with which the reader may open a board of this class. Raises Unauthorized and Forbidden."""
    found = sights({reader}, board_of)
    if reader not in found:
        raise Unauthorized("Log in, or send a key.")
    sight = found[reader]
    if sight is None:
        raise Forbidden("You may not see this.")
    return sight


def sights(readers: Collection[Reader], board_of: type[Board]) -> dict[Reader, Sight | None]:
    """Reader → what it may see by now on boards of this class; None: nothing. Whose login or key holds no more is left out."""
    return _of_people([reader for reader in readers if not reader.key_id]) | {
        reader: _sight_of_key(program, board_of)
        for (key_id, address), program in keys.still_good({(reader.key_id, reader.address) for reader in readers if reader.key_id})
        for reader in (Reader(key_id=key_id, address=address),)
    }


def _of_people(readers: Collection[Reader]) -> dict[Reader, Sight | None]:
    if not readers:
        return {}
    people = {user.pk: user for user in get_user_model().objects.filter(pk__in={reader.user_id for reader in readers})}
    logins = Login.objects.filter(pk__in={reader.login for reader in readers}, expire_date__gt=clock.now_datetime())
    found = {login.pk: login.get_decoded() for login in logins}
    allowed = sights_of(people.keys())
    return {
        reader: allowed.get(reader.user_id)
        for reader in readers
        if reader.user_id in people and _is_login_of(people[reader.user_id], found.get(reader.login, {}))
    }


def _is_login_of(user: AbstractBaseUser, login: Mapping[str, Any]) -> bool:
    # the hash changes with the password: a login from before does not count any more
    return login.get(SESSION_KEY) == str(user.pk) and constant_time_compare(
        login.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    )


def _sight_of_key(program: KeyPrincipal, board_of: type[Board]) -> Sight | None:
    """A management key that may read sees what a viewer sees; a query key its views; other keys nothing."""
    reads = program.allows(Verb.READ) or (program.key.kind == KeyKind.QUERY and board_of.for_query_keys)
    if not reads:
        return None
    return Sight() if program.reads_all else Sight(program.view_ids)

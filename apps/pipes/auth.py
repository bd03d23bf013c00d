"""Authentication of the API: which key or person is asking, and whether that kind may use this part of the API at all.

Routers take one of `push_auth`, `read_auth`, `manage_auth`. 401: nobody known; 403: known, not for this. Handlers find the
Principal in `request.auth` and ask it about the object.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja.security.apikey import APIKeyHeader
from ninja.utils import check_csrf

from apps.pipes import confirmation, keys
from apps.pipes.addresses import client_address
from apps.pipes.models import KeyKind
from apps.pipes.principals import KeyPrincipal, PersonPrincipal, Principal
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Forbidden, Unauthorized

KEY_HEADER = "X-API-Key"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def given_key(request: HttpRequest) -> str | None:
    """The key that a request brings: `X-API-Key`, or `Authorization: Bearer`; None without one."""
    key: str | None = request.headers.get(KEY_HEADER)
    if key is not None:
        return key
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class KeyAuth(APIKeyHeader):
    """Header `X-API-Key`, or `Authorization: Bearer`; with `people`, also a login session of the console.

    Works for sync and async handlers: in an event loop it answers from memory or hands over to the control lane.
    A session of the console may write only with a CSRF token.
    """

    param_name = KEY_HEADER

    def __init__(self, *kinds: KeyKind, people: bool = False) -> None:
        super().__init__()
        self.kinds = frozenset(kinds or KeyKind)
        self.people = people
        # tells Ninja that the result may have to be awaited
        self.is_async = True

    def __call__(self, request: HttpRequest) -> Principal | Coroutine[Any, Any, Principal]:
        """The principal; in an event loop, something to await for it."""
        return self._later(request) if _in_event_loop() else self._now(request)

    def authenticate(self, request: HttpRequest, key: str | None) -> Principal:
        """The principal behind a key, or behind the session when there is no key. Blocking."""
        if key is None:
            return self._person(request)
        return self._fitting(keys.authenticate(key, client_address(request)))

    def _now(self, request: HttpRequest) -> Principal:
        return self.authenticate(request, self._get_key(request))

    async def _later(self, request: HttpRequest) -> Principal:
        key = self._get_key(request)
        if key is None:
            return await sync_to_async(self._person)(request)
        principal = keys.recall(key, client_address(request))
        if principal is not None:
            return self._fitting(principal)
        return await run(Lane.CONTROL, self.authenticate, request, key)

    def _get_key(self, request: HttpRequest) -> str | None:
        return given_key(request)

    def _fitting(self, principal: KeyPrincipal) -> KeyPrincipal:
        reads_here = KeyKind.QUERY in self.kinds and principal.view_ids  # old YAML may list one key for both
        if principal.key.kind not in self.kinds and not reads_here:
            raise Forbidden(
                f"A {principal.key.kind} key cannot be used here.",
                code="wrong_key_kind",
                fix=f"Use a key of kind {' or '.join(sorted(self.kinds))}.",
                who=principal.name,
            )
        return principal

    def _person(self, request: HttpRequest) -> PersonPrincipal:
        if not self.people or not request.user.is_authenticated:
            raise Unauthorized(keys.REFUSAL, fix=keys.FIX)
        if request.method not in SAFE_METHODS and check_csrf(request) is not None:
            raise Forbidden("The CSRF token is missing or wrong.", code="csrf", fix="Load the page again.")
        return PersonPrincipal(request.user, confirmed=confirmation.is_fresh(request))


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


agent_auth = KeyAuth(KeyKind.AGENT)
push_auth = KeyAuth(KeyKind.RECEIVER, KeyKind.AGENT)
read_auth = KeyAuth(KeyKind.QUERY, KeyKind.MANAGEMENT, people=True)
manage_auth = KeyAuth(KeyKind.MANAGEMENT, people=True)

"""API keys: make, check, revoke. Every process that takes requests calls `authenticate`; services and commands the rest.

A checked key is remembered for KNOWN_SECONDS in the process, so revoking it works everywhere within that time (R50).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from typing import TypedDict, Unpack

from django.db import transaction

from apps.pipes import hashing, ports, usage
from apps.pipes.addresses import is_within
from apps.pipes.failures import failures
from apps.pipes.models import Agent, AgentPipe, ApiKey, KeyKind, Pipe, Receiver
from apps.pipes.permissions import SCOPES, verbs_of
from apps.pipes.principals import KeyPrincipal
from apps.runtime import clock
from apps.runtime.problems import Invalid, Unauthorized
from apps.views.models import View

KNOWN_SECONDS = 2.0
MOST_KNOWN = 10_000
STARTS = {KeyKind.RECEIVER: "fkr", KeyKind.AGENT: "fka", KeyKind.QUERY: "fkq", KeyKind.MANAGEMENT: "fkm"}
REFUSAL = "No valid key."
FIX = "Send a key of this server in the header X-API-Key. Keys are made on the Keys page or with `manage.py create_key`."


class ScopeFields(TypedDict, total=False):
    """The fields of Scope as keyword arguments."""

    receiver: Receiver | None
    agent: Agent | None
    pipes: Sequence[Pipe]
    views: Sequence[View]
    all_views: bool
    scopes: Sequence[str]
    allowed_networks: Sequence[str]
    expires_at: datetime | None


@dataclass(frozen=True)
class Scope:
    """What a key is good for. It is fixed when the key is made."""

    receiver: Receiver | None = None
    agent: Agent | None = None
    pipes: Sequence[Pipe] = ()
    views: Sequence[View] = ()
    all_views: bool = False
    scopes: Sequence[str] = ()
    allowed_networks: Sequence[str] = ()
    expires_at: datetime | None = None


@dataclass
class _Known:
    """Keys that were good a moment ago, by the hash of their secret."""

    entries: dict[str, tuple[KeyPrincipal, float]] = field(default_factory=dict)

    def get(self, digest: str) -> KeyPrincipal | None:
        entry = self.entries.get(digest)
        if entry is None or clock.now() - entry[1] > KNOWN_SECONDS:
            return None
        return entry[0]

    def put(self, digest: str, principal: KeyPrincipal) -> None:
        if len(self.entries) >= MOST_KNOWN:
            self.entries.clear()
        self.entries[digest] = (principal, clock.now())


_known = _Known()


@transaction.atomic
def create_key(kind: str, *, name: str = "", created_by: str = "", **fields: Unpack[ScopeFields]) -> tuple[ApiKey, str]:
    """Make a key: its row, and its secret, which is never shown again. Raises Invalid when the scope does not fit the kind."""
    kind, scope = KeyKind(kind), Scope(**fields)
    _check_scope(kind, scope)
    secret = hashing.make_secret(STARTS[kind])
    kept = hashing.fingerprint(secret)
    key = ApiKey.objects.create(
        kind=kind,
        name=name,
        ref=kept.ref,
        prefix=kept.prefix,
        last_four=kept.last_four,
        digest=kept.digest,
        receiver=scope.receiver,
        agent=scope.agent,
        all_views=scope.all_views,
        scopes=list(scope.scopes),
        allowed_networks=list(scope.allowed_networks),
        expires_at=scope.expires_at,
        created_by=created_by,
    )
    key.pipes.set(scope.pipes)
    key.views.set(scope.views)
    return key, secret


def authenticate(secret: str, address: str | None) -> KeyPrincipal:
    """The program behind a key. Raises Unauthorized (unknown, revoked, expired, wrong network), Busy after too many failures.

    One query per key and process every KNOWN_SECONDS; blocking, so async code calls it in a lane.
    """
    return recall(secret, address) or _check(secret, address or "")


def recall(secret: str, address: str | None) -> KeyPrincipal | None:
    """The program behind a key that this process checked a moment ago. Touches neither database nor network."""
    if not hashing.is_plausible(secret):
        return None
    principal = _known.get(hashing.digests(secret)[0])
    if principal is None or not _is_usable(principal.key, address or ""):
        return None
    usage.note(principal.key.pk)
    return principal


def still_good(of: Collection[tuple[int, str]]) -> list[tuple[tuple[int, str], KeyPrincipal]]:
    """Of keys by (id, address), those that are still good, with their programs. For connections that stay open."""
    rows = ApiKey.objects.select_related("receiver", "agent").in_bulk({key_id for key_id, _ in of})
    good = (pair for pair in of if pair[0] in rows and _is_usable(rows[pair[0]], pair[1]))
    return [(pair, _principal(rows[pair[0]])) for pair in good]


def ref_of(secret: str) -> str | None:
    """The reference of the stored key with this secret, if there is one."""
    key = _find(hashing.digests(secret))
    return key.ref if key else None


@transaction.atomic
def revoke(keys: Iterable[ApiKey], because: str = ApiKey.Revocation.REVOKED) -> list[ApiKey]:
    """Revoke keys and end their live sessions. Keys that are revoked already stay as they are. Gives those it revoked."""
    change = {"revoked_at": clock.now_datetime(), "revoked_because": because}
    revoked = [key for key in keys if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(**change)]
    if revoked:
        ports.keys_revoked([key.pk for key in revoked])
        transaction.on_commit(forget)
    return revoked


def forget() -> None:
    """Forget every remembered key of this process, after a change of keys or of what they are bound to."""
    _known.entries.clear()


def _check(secret: str, address: str) -> KeyPrincipal:
    digests = hashing.digests(secret) if hashing.is_plausible(secret) else []
    was_good = bool(digests) and digests[0] in _known.entries
    if not was_good:
        failures.check(address, secret)
    key = _find(digests)
    fault = _fault(key, address) if key else "no such key"
    if key is None or fault:
        failures.record(address, secret)
        raise Unauthorized(REFUSAL, fix=FIX, who=KeyPrincipal(key).name if key else "", cause=fault)
    principal = _principal(key)
    _known.put(digests[0], principal)
    usage.note(key.pk)
    return principal


def _find(digests: list[str]) -> ApiKey | None:
    found = ApiKey.objects.filter(digest__in=digests).select_related("receiver", "agent").first() if digests else None
    if found is None or not any(hashing.same(found.digest, digest) for digest in digests):
        return None
    return found


def _is_usable(key: ApiKey, address: str) -> bool:
    return not _fault(key, address)


def _fault(key: ApiKey, address: str) -> str:
    """Why the key is not good from this address; empty when it is."""
    if key.revoked_at is not None:
        return "the key is revoked"
    if key.expires_at is not None and key.expires_at <= clock.now_datetime():
        return "the key has expired"
    return "" if is_within(address, key.allowed_networks) else "the key is not good from this network"


def _principal(key: ApiKey) -> KeyPrincipal:
    pipes = set(key.pipes.values_list("pk", flat=True))
    if key.agent_id is not None:
        ran = AgentPipe.objects.filter(agent_id=key.agent_id, agent__enabled=True, enabled=True, pipe__isnull=False)
        pipes.update(ran.values_list("pipe_id", flat=True))
    return KeyPrincipal(
        key=key,
        pipe_ids=frozenset(pipes),
        view_ids=frozenset(key.views.values_list("pk", flat=True)),
        verbs=verbs_of(key.scopes) if key.kind == KeyKind.MANAGEMENT else frozenset(),
    )


def _check_scope(kind: KeyKind, scope: Scope) -> None:
    if kind == KeyKind.RECEIVER:
        _check_receiver_scope(scope)
    if kind == KeyKind.AGENT and scope.agent is None:
        raise Invalid("An agent key belongs to one agent.", field="agent", fix="Name the agent.")
    if kind == KeyKind.QUERY and not scope.views and not scope.all_views:
        raise Invalid("A query key reads named views or all of them.", field="views", fix="Name views, or choose all views.")
    if kind == KeyKind.MANAGEMENT and not scope.scopes:
        raise Invalid("A management key needs scopes.", field="scopes", fix=f"Choose from {', '.join(sorted(SCOPES))}.")
    if unknown := set(scope.scopes) - SCOPES:
        raise Invalid(f"Unknown scope {min(unknown)!r}.", field="scopes", fix=f"Choose from {', '.join(sorted(SCOPES))}.")
    for network in scope.allowed_networks:
        _check_network(network)


def _check_receiver_scope(scope: Scope) -> None:
    if scope.receiver is None:
        raise Invalid("A receiver key belongs to one receiver.", field="receiver", fix="Name the receiver.")
    if not scope.pipes:
        raise Invalid("A receiver key ingests into named pipes.", field="pipes", fix="Name at least one pipe of the receiver.")
    for pipe in scope.pipes:
        if pipe.receiver_id != scope.receiver.pk:
            raise Invalid(
                f"Pipe {pipe.slug!r} is not served by receiver {scope.receiver.slug!r}.",
                field="pipes",
                fix=f"Choose pipes of {scope.receiver.slug!r}.",
            )


def _check_network(network: str) -> None:
    try:
        ip_network(network, strict=False)
    except ValueError as error:
        raise Invalid(f"{network!r} is not a network: {error}.", field="allowed_networks", fix="Write 10.0.0.0/8.") from error

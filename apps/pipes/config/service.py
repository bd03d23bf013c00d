"""The one way to change the configuration: check, plan, apply and record one revision, in one transaction.

Commands, API, pages and apps.pipes.services all come here. Changes are serialised; `expected` refuses a change that was made
on top of an older revision.
"""

from dataclasses import dataclass, field, replace

from django.db import connection, transaction

from apps.pipes import audit
from apps.pipes.config.apply import apply, fill_in
from apps.pipes.config.canonical import canonical
from apps.pipes.config.check import faults_of
from apps.pipes.config.document import Document, to_plain
from apps.pipes.config.faults import Notice, refuse
from apps.pipes.config.losses import losses_of
from apps.pipes.config.plan import Action, Plan, compare, listed_refs, merge, without_keys
from apps.pipes.config.render import render
from apps.pipes.hashing import Fingerprint
from apps.pipes.models import ApiKey, Revision
from apps.pipes.rollouts import spread
from apps.pipes.rollouts.waves import Terms
from apps.runtime import clock, hints
from apps.runtime.problems import Conflict

_LOCK = 0x66757374  # "fust": the advisory lock of configuration changes on PostgreSQL


@dataclass(frozen=True)
class Author:
    """Who changes the configuration, and why."""

    name: str
    message: str = ""
    address: str = ""
    request_id: str = ""

    @property
    def actor(self) -> audit.Actor:
        """The same person, for the audit log."""
        return audit.Actor(self.name, self.address, self.request_id)


@dataclass(frozen=True)
class Wanted:
    """What somebody wants: a document, the secrets that came with it, and whether what it does not name must go."""

    document: Document
    secrets: dict[str, Fingerprint] = field(default_factory=dict)
    replace: bool = False


def preview(wanted: Wanted) -> Plan:
    """What applying would do, and in its notices what it loses for good. Raises Invalid with every fault."""
    current = render()
    kept = frozenset(ApiKey.objects.filter(origin=ApiKey.Origin.CREATED).values_list("ref", flat=True))
    dead = _dead_refs() & listed_refs(wanted.document)
    result = merge(current, without_keys(wanted.document, dead), replace=wanted.replace, kept_refs=kept)
    refuse(faults_of(result))
    plan = compare(current, canonical(result))
    revoked = (Notice(f"key {ref}", "is revoked here and stays revoked.") for ref in sorted(dead))
    lost = (loss.notice for loss in losses_of(current, plan.result))
    return replace(plan, notices=(*revoked, *lost))


@transaction.atomic
def change(
    wanted: Wanted,
    author: Author,
    *,
    expected: int | None = None,
    restores: Revision | None = None,
    terms: Terms | None = None,
) -> tuple[Plan, Revision | None]:
    """Apply what is wanted as one revision, all or nothing; no revision when nothing changes.

    `expected` is the number of the revision that the author saw; Conflict (409) when there is a newer one. With `terms` the
    agents that it concerns get it in waves; Conflict when it would overtake a rollout that goes on.
    """
    if terms is not None:
        terms.check()
    serialise()
    _check_expected(expected)
    plan = preview(wanted)
    fill_in(wanted.secrets)
    if not plan.changes_anything:
        return plan, None
    before = render()
    spread.check_room(before, plan.result, terms)
    apply(plan, wanted.secrets)
    revision = _keep(author, _summary(plan), restores)
    spread.spread(before, plan.result, revision, terms)
    _log(plan, author, revision)
    hints.changed("fleet")
    return plan, revision


@transaction.atomic
def record_revision(author: Author, summary: str) -> Revision | None:
    """Keep the configuration as a new revision after its keys were changed by apps.pipes.services; None when nothing differs."""
    serialise()
    newest = latest()
    if newest is not None and newest.document == to_plain(render()):
        return None
    return _keep(author, summary, None)


def latest() -> Revision | None:
    """The newest revision; None before the first change."""
    return Revision.objects.order_by("-number").first()


def latest_number() -> int:
    """Number of the newest revision; 0 before the first change."""
    newest = latest()
    return newest.number if newest else 0


def _dead_refs() -> frozenset[str]:
    """Keys that a person revoked or replaced: no document brings them back."""
    dead = ApiKey.objects.exclude(revoked_at=None).exclude(revoked_because=ApiKey.Revocation.REMOVED)
    return frozenset(dead.values_list("ref", flat=True))


def _keep(author: Author, summary: str, restores: Revision | None) -> Revision:
    return Revision.objects.create(
        document=to_plain(render()),
        summary=summary,
        message=author.message,
        author=author.name,
        created_at=clock.now_datetime(),
        restores=restores,
    )


def _log(plan: Plan, author: Author, revision: Revision) -> None:
    """One audit entry per object that changed, with the fields that changed."""
    for step in plan.of(Action.CREATE, Action.UPDATE, Action.DELETE):
        audit.record(
            author.actor,
            f"configuration.{step.action}",
            f"{step.kind}.{step.ident}",
            before={change.field: change.before for change in step.changes} if step.action != Action.CREATE else None,
            after={change.field: change.after for change in step.changes} if step.action != Action.DELETE else None,
            detail=f"revision {revision.number}",
        )


def serialise() -> None:
    """One change at a time, until the running transaction ends; what is read from here on is what will be changed.

    SQLite has one writer anyway (transactions begin IMMEDIATE).
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _check_expected(expected: int | None) -> None:
    newest = latest_number()
    if expected is not None and expected != newest:
        raise Conflict(
            f"The configuration has changed: you edited revision {expected}, the newest is {newest}.",
            code="stale_revision",
            fix="Look at what changed since, then make your change again.",
            extra={"expected": expected, "newest": newest},
        )


def _summary(plan: Plan) -> str:
    """The steps that do something; with many of them, how many of each kind."""
    steps = plan.of(Action.CREATE, Action.UPDATE, Action.DELETE)
    text = "; ".join(str(step) for step in steps)
    return text if len(text) <= 200 else plan.summary()

"""Audit cycles: open, gather what was listed, end, and only then remove what is proven absent (R10–R21).

`start`, `end`, `abort_open`, `approve` are called by services of apps.sessions and by the console; `of_batch` by `apply`.
Everything runs inside the caller's transaction with the tree locked.
"""

from typing import Any

from django.db.models import F

from apps.runtime.problems import Conflict
from apps.views import deep, process, removals, roots
from apps.views.arbiter import save_tree
from apps.views.brake import is_too_much
from apps.views.claims import Origin, Said
from apps.views.context import Context
from apps.views.intake import Claim, Intake, Op
from apps.views.loading import load
from apps.views.models import Audit, Tree
from apps.views.outcome import Outcome
from apps.views.store import listings, memory
from fustor_schema import paths
from fustor_schema.sources import MessageSource, SourceType
from fustor_schema.wire import Batch, FsRow

_REMOVED_AT_ONCE = 5_000
NOT_MOUNTED = "the source root lists nothing: is it mounted?"


def start(tree_id: int, origin: Origin, *, audit_id: str | None, started_ms: int, root_id: str | None, now_ms: int) -> Audit | None:
    """Open an audit. Idempotent: one that is open goes on, and its fence never moves forward (R15).

    None when the session does not lead the tree (R22). `started_ms`: start of the scan in server ms.
    """
    tree = _locked(tree_id)
    if not _leads(tree, origin):
        return None
    roots.meet(tree, root_id)
    present = _open_audit(tree, now_ms)
    if present is not None and (audit_id is None or present.audit_id == audit_id):
        if started_ms < present.started_at:
            present.started_at = started_ms
            present.save(update_fields=("started_at",))
        return present
    if present is not None:
        _finish(present, Audit.State.ABORTED, "another audit began", now_ms)
    Audit.objects.filter(tree=tree, session=origin.session, end_seen=False).update(end_seen=True)
    return _open(tree, origin, audit_id or "", started_ms, now_ms)


def of_batch(tree: Tree, origin: Origin, batch: Batch, checked: Intake, now_ms: int) -> Audit | None:
    """The audit that a batch belongs to, counted; None when it belongs to none. The first audit batch opens one.

    Raises Conflict for rows of an audit that is not the open one (R14).
    """
    if batch.envelope.source_type != SourceType.AUDIT:
        return None
    wanted = batch.envelope.audit_id
    audit = _open_audit(tree, now_ms)
    if wanted is not None and (audit is None or audit.audit_id != wanted):
        _succeed(tree, audit, wanted, now_ms)
        audit = None
    if audit is None:
        if not checked.claims or (wanted is None and _is_tail_of_aborted(tree, origin)):
            return None
        audit = _open(tree, origin, wanted or "", min(claim[1].observed_at for claim in checked.claims), now_ms)
    audit.batches += 1
    audit.rows += checked.rows
    audit.directories += sum(1 for claim in checked.claims if _is_directory_told(claim))
    # a row whose path no view can hold is the twin of nothing stored; any other lost row may be
    audit.rejected += sum(1 for reject in checked.rejects if reject.field not in ("path", "path_b64"))
    audit.save(update_fields=("batches", "rows", "directories", "rejected", "errors"))
    return audit


def _is_directory_told(claim: Claim) -> bool:
    """Whether a claim is what a manifest counts as one directory: its close, or its row as a silent one."""
    return claim[0] in (Op.CLOSE, Op.REPEAT) or (claim[0] is Op.DIRECTORY and claim[3][0][1].audit_skipped)


def end(
    tree_id: int, origin: Origin, *, audit_id: str | None, manifest: dict[str, Any] | None, root_id: str | None, now_ms: int
) -> Audit | None:
    """End the open audit: COMPLETE, PARTIAL, HELD or ABORTED. None when none is open: nothing happens (R15)."""
    tree = _locked(tree_id)
    if not _leads(tree, origin):
        return None
    audit = _open_audit(tree, now_ms)
    Audit.objects.filter(tree=tree, session=origin.session, end_seen=False).update(end_seen=True)
    if audit is None or (audit_id is not None and audit.audit_id != audit_id):
        return None
    audit.end_seen, audit.manifest = True, manifest or {}
    roots.meet(tree, root_id)
    _look_at_childless(tree, audit, now_ms)
    reason = _why_partial(tree, audit, manifest)
    if reason:
        return _finish(audit, Audit.State.PARTIAL, reason, now_ms)
    listings.find_absent(audit.pk)
    return _judge(tree, audit, origin, now_ms)


def abort_open(tree_id: int, reason: str, now_ms: int) -> None:
    """Abort the open audit, if there is one: nothing is deleted (R14)."""
    audit = Audit.objects.filter(tree_id=tree_id, state=Audit.State.OPEN).first()
    if audit is not None:
        _finish(audit, Audit.State.ABORTED, reason, now_ms)


def abort_all(tree_id: int, reason: str, now_ms: int) -> None:
    """Abort the open audit and drop what the brake holds: the tree is going to be emptied."""
    for audit in Audit.objects.filter(tree_id=tree_id, state__in=(Audit.State.OPEN, Audit.State.HELD)):
        _finish(audit, Audit.State.ABORTED, reason, now_ms)


def approve(audit: Audit, actor: str, now_ms: int) -> Audit:
    """Carry out the deletions that the brake held (R21), sparing what was confirmed since. Raises Conflict if none are held."""
    tree = _locked(audit.tree_id)
    audit.refresh_from_db()
    if audit.state != Audit.State.HELD:
        raise Conflict(f"audit {audit.pk} holds no deletions; it is {audit.state}")
    audit.approved_by = actor
    return _remove(tree, audit, Origin(session=audit.session, epoch=audit.epoch), now_ms)


def note_failure(tree_id: int, *, now_ms: int, reason: str) -> None:
    """A batch of the open audit was refused as a whole: what it held is unknown, so the audit will delete nothing (I6)."""
    audit = Audit.objects.filter(tree_id=tree_id, state=Audit.State.OPEN).first()
    if audit is not None:
        audit.rejected += 1
        audit.reason = reason[:300]
        audit.save(update_fields=("rejected", "reason"))


def forget_listing(audit: Audit) -> None:
    """Drop everything that is staged for an audit; it is going to be deleted."""
    listings.forget(audit.pk, absences_too=True)


def _locked(tree_id: int) -> Tree:
    return Tree.objects.select_for_update(of=("self",)).select_related("view").get(pk=tree_id)


def _leads(tree: Tree, origin: Origin) -> bool:
    return origin.is_leader and origin.epoch == tree.epoch


def _open(tree: Tree, origin: Origin, audit_id: str, started_ms: int, now_ms: int) -> Audit:
    return Audit.objects.create(
        tree=tree,
        audit_id=audit_id,
        epoch=origin.epoch,
        session=origin.session,
        started_at=min(started_ms, now_ms),
        opened_at=now_ms,
        opened_mark=process.mark(),
    )


def _open_audit(tree: Tree, now_ms: int) -> Audit | None:
    """The open audit. One that was opened before this process started is aborted: what was under way then may be lost (R14)."""
    audit = Audit.objects.filter(tree=tree, state=Audit.State.OPEN).first()
    if audit is not None and process.restarted_since(audit.opened_mark):
        _finish(audit, Audit.State.ABORTED, "the server restarted", now_ms)
        return None
    return audit


def _succeed(tree: Tree, present: Audit | None, wanted: str, now_ms: int) -> None:
    """An audit that nobody heard of begins, in place of the one that is open. Raises Conflict when it is over already (R14)."""
    if Audit.objects.filter(tree=tree, audit_id=wanted).exists():
        raise Conflict(f"audit {wanted!r:.100} is over", code="STALE_AUDIT", fix="Start a new audit.")
    if present is not None:
        _finish(present, Audit.State.ABORTED, "another audit began", now_ms)


def _is_tail_of_aborted(tree: Tree, origin: Origin) -> bool:
    """Whether rows without an open audit are the rest of one that was aborted: they are believed, but prove no absence."""
    last = Audit.objects.filter(tree=tree).order_by("-pk").first()
    return last is not None and last.session == origin.session and last.state == Audit.State.ABORTED and not last.end_seen


def _why_partial(tree: Tree, audit: Audit, manifest: dict[str, Any] | None) -> str:
    if audit.rejected:
        return audit.reason or "rows were lost on the way"
    if manifest is not None:
        for field in ("batches", "rows", "directories", "errors"):
            applied = getattr(audit, field)
            if field in manifest and manifest[field] != applied:
                return f"the agent sent {manifest[field]} {field}, {applied} were applied"
    return tree.source_lost


def _look_at_childless(tree: Tree, audit: Audit, now_ms: int) -> None:
    """Directories that an old client says changed, and lists nothing in: looked at again before their children go. When it is
    the root, the storage is not mounted (R20)."""
    empty = set(listings.childless(audit.pk))
    if paths.ROOT in empty:
        tree.source_lost = NOT_MOUNTED
    elif tree.source_lost == NOT_MOUNTED and listings.lists_children(audit.pk, tree.pk, paths.ROOT):
        tree.source_lost = ""
    tree.save(update_fields=("source_lost",))
    again = dict.fromkeys(empty - {paths.ROOT}, ("an audit says it changed and lists nothing", True, now_ms))
    memory.write_rechecks(tree.pk, again)


def _judge(tree: Tree, audit: Audit, origin: Origin, now_ms: int) -> Audit:
    gone = listings.absences(audit.pk)
    too_much = is_too_much(tree, gone)
    earlier = _held(tree)
    if too_much and not (earlier is not None and _agrees(earlier, gone)):
        audit.held = sum(row[4] for row in gone)
        return _finish(audit, Audit.State.HELD, too_much, now_ms)
    if earlier is not None:
        _finish(earlier, Audit.State.ABORTED, "a later audit decided", now_ms)
    return _remove(tree, audit, origin, now_ms)


def _held(tree: Tree) -> Audit | None:
    return Audit.objects.filter(tree=tree, state=Audit.State.HELD).order_by("-pk").first()


def _agrees(earlier: Audit, gone: list[Any]) -> bool:
    """Whether an earlier held audit misses all of this too (R21)."""
    before = {(row[0], row[1]) for row in listings.absences(earlier.pk)}
    return all((row[0], row[1]) in before for row in gone)


def _remove(tree: Tree, audit: Audit, origin: Origin, now_ms: int) -> Audit:
    """Remove what is noted absent, and close the audit as COMPLETE."""
    gone = listings.absences(audit.pk)
    for start_at in range(0, len(gone), _REMOVED_AT_ONCE):
        audit.deleted += _remove_some(tree, audit, origin, gone[start_at : start_at + _REMOVED_AT_ONCE], now_ms)
    return _finish(audit, Audit.State.COMPLETE, "", now_ms)


def _remove_some(tree: Tree, audit: Audit, origin: Origin, gone: list[Any], now_ms: int) -> int:
    claims: list[Claim] = [
        (Op.DELETE, Said(MessageSource.AUDIT, audit.session, row[2], 0), row[0], [(row[1], FsRow(), 0)], 0) for row in gone
    ]
    context = Context(tree, load(tree.pk, Intake(claims, [], len(claims), {}, {}), now_ms), origin, Outcome(), audit)
    context.graves.load(paths.join(row[0], row[1]) for row in gone)
    removed = 0
    for _, said, directory, entries, _ in claims:
        context.last_said = said
        removed += removals.absent(context, said, directory, entries[0][0])
    context.working.flush()
    context.graves.write()
    memory.write(tree.pk, context.remains, now_ms)
    save_tree(context)
    return removed


def _finish(audit: Audit, state: str, reason: str, now_ms: int) -> Audit:
    audit.state, audit.finished_at = state, now_ms
    if reason:
        audit.reason = reason[:300]
    audit.save()
    listings.forget(audit.pk, absences_too=state != Audit.State.HELD)
    if state == Audit.State.COMPLETE:
        Tree.objects.filter(pk=audit.tree_id).update(
            last_audit_finished_at=now_ms / 1000, audit_cycle_count=F("audit_cycle_count") + 1
        )
        deep.note_complete(audit)
    return audit

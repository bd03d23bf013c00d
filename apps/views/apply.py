"""One batch, one transaction, one tree: load what it touches, decide claim by claim with `rules`, write it in a few statements.

Called by the ingestion service of apps.sessions inside its transaction. The tree's row lock makes batches of one tree queue;
batches of different trees run side by side (on PostgreSQL).
"""

from apps.runtime.problems import Conflict, Invalid
from apps.views import arbiter, audits, capacity, intake, repeats, roots, snapshots
from apps.views.claims import Origin
from apps.views.closings import Closings
from apps.views.context import Context
from apps.views.folder import Looked
from apps.views.intake import Claim, Intake, Op
from apps.views.loading import load
from apps.views.models import Audit, Tree
from apps.views.outcome import Outcome
from apps.views.store import trees
from fustor_schema.sources import MessageSource, SourceType
from fustor_schema.wire import Batch

_LEADER_ONLY = {MessageSource.SNAPSHOT, MessageSource.AUDIT}
_TAKEN = {SourceType.MESSAGE, SourceType.SNAPSHOT, SourceType.AUDIT, SourceType.ON_DEMAND, SourceType.SENTINEL}


def apply_batch(tree_id: int, origin: Origin, batch: Batch, received_ms: int) -> Outcome:
    """Apply a batch to a tree; `received_ms` is its arrival in server ms. What outgrew a shared bound is for `capacity.hold`.

    Raises Invalid for an envelope that is not valid (R33) and Conflict STALE_WRITER for a scan of a native agent that does not
    lead the tree in its present term (R22); scans of an old client that does not lead are counted as ignored.
    """
    if batch.envelope.source_type not in _TAKEN:
        raise Invalid(f"unknown source_type {batch.envelope.source_type!r:.50}", field="source_type")
    tree = trees.lock(tree_id)
    checked = intake.read(batch, origin, received_ms, repeats.find(tree.pk, batch))
    outcome = Outcome(rows=checked.rows, rejected=checked.rejects, bound=capacity.shared_bound(tree))
    writes = is_current_writer(tree, origin)
    claims = checked.claims if writes else _without_scans(checked.claims, origin, outcome)
    if writes and batch.envelope.source_type == SourceType.SNAPSHOT and not tree.root_id:
        roots.meet(tree, origin.root_id)
    if roots.is_foreign(tree, origin):
        claims = _without_absence(claims, outcome)
    audit = audits.of_batch(tree, origin, batch, checked, received_ms) if writes else None
    if claims:
        _apply_claims(tree, origin, checked._replace(claims=claims), outcome, audit, received_ms)
    if writes and batch.envelope.is_end:
        _end_phase(tree, origin, batch, outcome, received_ms)
    if writes and batch.envelope.source_type == SourceType.SNAPSHOT and not batch.envelope.is_end:
        snapshots.note_progress(tree, received_ms)
    return outcome


def is_current_writer(tree: Tree, origin: Origin) -> bool:
    """Whether the session's scans count: it leads the tree in the present term (R22)."""
    return origin.is_leader and origin.epoch == tree.epoch


def _without_scans(claims: list[Claim], origin: Origin, outcome: Outcome) -> list[Claim]:
    kept = [claim for claim in claims if claim[1].source not in _LEADER_ONLY and not _is_scan_delete(claim)]
    if len(kept) < len(claims) and origin.is_native:
        raise Conflict("this session does not lead the view: its scans are refused", code="STALE_WRITER")
    outcome.ignored += len(claims) - len(kept)
    return kept


def _without_absence(claims: list[Claim], outcome: Outcome) -> list[Claim]:
    """Of a session that looks at another storage only what it found counts, not what it did not find (R20)."""
    kept = [claim for claim in claims if not _is_scan_delete(claim)]
    outcome.ignored += len(claims) - len(kept)
    return kept


def _is_scan_delete(claim: Claim) -> bool:
    return claim[0] in (Op.DELETE, Op.CLOSE) and not claim[1].realtime


def _end_phase(tree: Tree, origin: Origin, batch: Batch, outcome: Outcome, received_ms: int) -> None:
    if batch.envelope.source_type == SourceType.SNAPSHOT:
        roots.meet(tree, origin.root_id)
        if not roots.is_foreign(tree, origin):
            outcome.snapshot_completed = True
            snapshots.complete(tree, origin, received_ms)
    elif batch.envelope.source_type == SourceType.AUDIT:
        envelope = batch.envelope
        manifest = (envelope.metadata or {}).get("manifest")
        root_id = (envelope.metadata or {}).get("root_id")
        audit = audits.end(tree.pk, origin, audit_id=envelope.audit_id, manifest=manifest, root_id=root_id, now_ms=received_ms)
        if audit is not None:
            outcome.audit, outcome.audit_state = audit.pk, audit.state


def _apply_claims(tree: Tree, origin: Origin, checked: Intake, outcome: Outcome, audit: Audit | None, received_ms: int) -> None:
    """Decide and write. A batch that renames a directory and goes on below its new name takes one more round for the rest."""
    while checked.claims:
        context = Context(tree, load(tree.pk, checked, received_ms), origin, outcome, audit)
        closings, room = Closings(context), context.room
        decided = arbiter.decide(context, checked, closings)
        arbiter.write(context, closings)
        outcome.grew += room - context.room
        checked = checked._replace(claims=checked.claims[decided:], looked=Looked())

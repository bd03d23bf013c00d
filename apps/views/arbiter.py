"""Runs the claims of one batch, in order, over a working set, and writes what came of it. Called by `apply`."""

from apps.views import clock as view_clock
from apps.views import moves, removals, repeats, upsert_directories, upserts
from apps.views.claims import Said
from apps.views.closings import Closings
from apps.views.context import Context
from apps.views.intake import Claim, Intake, Op
from apps.views.store import listings, memory, trees
from fustor_schema import paths


def decide(context: Context, checked: Intake, closings: Closings) -> int:
    """Decide claims in order. How many were decided: fewer than all when a directory moved and the rest must be loaded anew."""
    if context.tree.tombstone_count:
        context.graves.load(_paths_of(checked))
    for position, claim in enumerate(checked.claims):
        op, said, directory, entries, number = claim
        context.last_said, context.last_claim = said, claim
        if op is Op.FILE:
            _put_files(context, checked, claim)
        elif op is Op.DIRECTORY:
            upsert_directories.put_directory(context, said, directory, entries[0], number)
        elif op is Op.DELETE:
            removals.delete(context, said, directory, entries[0][0])
        elif op in (Op.CLOSE, Op.REPEAT):
            _close(closings, checked, claim)
        elif op is Op.GAP:
            _note_gap(context, said, *checked.gaps[number])
        elif moves.move(context, said, checked.moves[number]) and _touches(checked.claims[position + 1 :], checked, number):
            return position + 1
    return len(checked.claims)


def _put_files(context: Context, checked: Intake, claim: Claim) -> None:
    _, said, directory, entries, number = claim
    upserts.put_files(context, said, directory, entries, number)
    run, folder = checked.runs.get((number, entries[0][2])), context.working.folders.get(directory)
    # a native agent's listing is remembered when its `dir_close` adds up
    if run is not None and run.close is None and folder is not None:
        repeats.remember(folder, run)


def _close(closings: Closings, checked: Intake, claim: Claim) -> None:
    op, said, directory, entries, number = claim
    if op is Op.REPEAT:
        closings.repeat(said, checked.repeated[directory])
        return
    name, row, _ = entries[0]
    closings.close(said, paths.join(directory, name) if name else paths.ROOT, row, checked.runs.get((number, 0)))


def _touches(rest: list[Claim], checked: Intake, number: int) -> bool:
    """Whether later claims speak of what lies below the destination of a move."""
    target = checked.moves[number].target
    inside = any(claim[2] and paths.is_within(claim[2], target) for claim in rest)
    later_moves = any(paths.is_within(path, target) for event, ends in checked.moves.items() if event > number for path in ends)
    return inside or later_moves


def _paths_of(checked: Intake) -> set[str]:
    wanted: set[str] = set()
    for _, _, directory, entries, _ in checked.claims:
        if directory:
            wanted.add(directory)
            wanted.update([paths.join(directory, entry[0]) for entry in entries])
    for movement in checked.moves.values():
        wanted.update(movement)
    return wanted


def _note_gap(context: Context, said: Said, scope: str, reason: str) -> None:
    context.remains.gaps.append((scope, reason, said.session, said.observed_at))
    context.recheck(scope, f"gap: {reason}", recursive=True)
    context.outcome.applied += 1


def write(context: Context, closings: Closings) -> None:
    """Write everything that the decisions came to."""
    closings.settle()
    context.outcome.changed |= bool(context.remains.changes or context.working.touched)
    context.working.flush()
    context.graves.write()
    memory.write(context.tree.pk, context.remains, context.now_ms)
    if context.audit is not None:
        listings.stage(context.audit.pk, closings.to_stage(native=context.origin.is_native))
        context.audit.save(update_fields=("errors", "rejected", "reason"))
    save_tree(context)


def _sample(context: Context) -> float | None:
    """The storage's clock against the server's, in seconds, from the last file event of the batch: one sample a batch is plenty."""
    claim = context.last_claim
    if claim is None or claim[0] is not Op.FILE:
        return None
    row = claim[3][-1][1]
    return view_clock.sample(row.modified_time, row.created_time, claim[1].observed_at / 1000)


def save_tree(context: Context) -> None:
    """Write the tree's own row, and the change feed."""
    tree, said, changes = context.tree, context.last_said, context.remains.changes
    if said is None:
        return
    if changes:
        tree.change_seq += len(changes)
        memory.append_changes(tree.pk, tree.change_seq, context.now_ms, said.session, said.source.value, changes)
    tree.last_event_at = context.now
    if said.realtime:
        tree.last_event_latency_ms = max(0.0, float(context.now_ms - said.observed_at))
        tree.clock = view_clock.with_sample(tree.clock, said.session, _sample(context), context.now)
    if tree.capacity_exceeded and context.room > 0 and not context.outcome.over_capacity:
        tree.capacity_exceeded = False
    trees.save_progress(tree)

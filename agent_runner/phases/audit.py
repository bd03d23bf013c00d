"""The audit: the tree again, without listing directories whose mtime is unchanged; each of those in turn is listed all the same.

Run by jobs.py for the leader. The skip cache moves on only after the server called the audit COMPLETE (R16).
"""

from pathlib import Path

from agent_runner import active, clock, log
from agent_runner.drivers import PushAnswer
from agent_runner.phases.scan import ScanJob
from agent_runner.problems import SourceLost
from agent_runner.sources.fs.scanner import root_event
from agent_runner.sources.fs.skipcache import SkipCache
from fustor_schema.sources import MessageSource

_log = log.get("audit")


def open_cache(job: ScanJob) -> SkipCache:
    """The skip cache of this AgentPipe, bound to leadership term, mount and filters."""
    bound = f"{job.epoch}|{job.root_id}|{sorted(job.settings.include)}|{sorted(job.settings.exclude)}"
    return SkipCache(Path(job.context.state_directory), bound)


async def run(job: ScanJob) -> None:
    """One audit cycle. Raises SenderProblem, SourceProblem, OSError; then the cycle counts for nothing (R10, R14)."""
    cache = open_cache(job)
    await job.sender.start_audit(
        {
            "session_id": job.session_id,
            "audit_id": job.lease.audit_id,
            "root_id": job.root_id,
            "started_ms": clock.monotonic_ms(),
            "sent_at": clock.monotonic_ms(),
        }
    )
    try:
        cache.begin(job.lease.job_id)
        await _scan(job, cache)
        answer = await _end(job, cache)
        if _is_complete(answer, job):
            cache.commit()
            if job.counts.changed:
                active.tell(Path(job.context.state_directory), job.counts.changed)
        else:
            _log.warning("audit did not count as complete: the next one lists the same again", answer=answer.audit)
    finally:
        cache.discard()


async def _scan(job: ScanJob, cache: SkipCache) -> None:
    orders = job.orders(skip_cache=str(cache.committed) if cache.usable else "", deep_turn=_turn(job, cache)[0])
    await job.send([root_event(job.root, MessageSource.AUDIT.value, job.mapping(), job.context.protocol)], 1)
    job.counts.rows += 1
    scanner = job.scanner(orders, [b"/"])
    await job.send_all(scanner.listed(), cache.add)


async def _end(job: ScanJob, cache: SkipCache) -> PushAnswer:
    try:
        job.check_same_root()
    except SourceLost:
        # the server aborts the cycle on an end without manifest: nothing of it may prove an absence
        await job.end({"aborted": "SOURCE_LOST"})
        raise
    turn, cycles = _turn(job, cache)
    manifest = job.counts.manifest() | {"deep_turn": turn, "deep_cycles": cycles}
    return await job.end({"manifest": manifest, "root_id": job.root_id})


def _turn(job: ScanJob, cache: SkipCache) -> tuple[int, int]:
    """Which share of how many is listed even where nothing seems to have changed (R18); without a cache that is everything."""
    cycles = job.settings.deep_cycles
    return (cache.cycle % cycles, cycles) if cache.usable else (0, 1)


def _is_complete(answer: PushAnswer, job: ScanJob) -> bool:
    if job.context.protocol < 3:
        return not answer.rejected
    return (answer.audit or {}).get("state") == "COMPLETE"

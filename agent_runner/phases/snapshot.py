"""The snapshot: every entry of the tree once, from the root down, ended in-band. Run by jobs.py for the leader."""

from agent_runner.phases import audit
from agent_runner.phases.scan import ScanJob
from agent_runner.sources.fs.scanner import root_event
from fustor_schema.sources import MessageSource


async def run(job: ScanJob) -> None:
    """Scans the whole tree. What it lists is what the next audit may skip by. Raises SenderProblem, SourceProblem, OSError."""
    cache = audit.open_cache(job)
    try:
        cache.begin()
        await job.send([root_event(job.root, MessageSource.SNAPSHOT.value, job.mapping(), job.context.protocol)], 1)
        job.counts.rows += 1
        scanner = job.scanner(job.orders(), [b"/"])
        await job.send_all(audit.noting(scanner.listed(), cache))
        job.check_same_root()
        await job.end({"root_id": job.root_id})
        cache.commit()
    finally:
        cache.discard()

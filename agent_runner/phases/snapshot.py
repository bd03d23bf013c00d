"""The snapshot: every entry of the tree once, from the root down, ended in-band. Run by jobs.py for the leader.

A second attempt of the same job goes on where the first one broke off: directories whose rows were committed and that did not
change since are only named, not listed again.
"""

from agent_runner.phases import audit
from agent_runner.phases.scan import ScanJob
from agent_runner.problems import SourceLost, StaleWriter
from agent_runner.sources.fs.scanner import root_event
from agent_runner.sources.fs.skipcache import SkipCache
from fustor_schema.sources import MessageSource


async def run(job: ScanJob) -> None:
    """Scans the whole tree. What it lists is what the next audit may skip by. Raises SenderProblem, SourceProblem, OSError."""
    cache = audit.open_cache(job)
    try:
        await _scan(job, cache, resumes=cache.begin(job.lease.job_id))
    except (StaleWriter, SourceLost):
        cache.discard()
        raise
    finally:
        cache.suspend()


async def _scan(job: ScanJob, cache: SkipCache, *, resumes: bool) -> None:
    await job.send([root_event(job.root, MessageSource.SNAPSHOT.value, job.mapping(), job.context.protocol)], 1)
    job.counts.rows += 1
    orders = job.orders(skip_cache=str(cache.resumable) if resumes else "", deep_turn=-1)
    await job.send_all(job.scanner(orders, [b"/"]).listed(), cache.add)
    job.check_same_root()
    await job.end({"root_id": job.root_id})
    cache.commit()

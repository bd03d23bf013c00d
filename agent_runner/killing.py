"""Ending a process that may hang in the storage. Used for job processes and listing processes."""

import asyncio
import contextlib


async def kill(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Kills it and waits at most so long for its end. False: it is not gone. A process inside a dead mount cannot be reaped before
    the kernel lets go of it, and nobody should wait for that."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return False
    return True

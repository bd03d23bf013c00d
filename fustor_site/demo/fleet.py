"""The demo's configuration and its hosts: two file servers with three hosts each, and an archive that keeps two copies.

Called by `manage.py demo`, which `make demo` starts beside the server. Everything is called demo-…, so that it is easy to remove.
"""

import asyncio
from random import Random

import httpx

from apps.pipes import keys
from apps.pipes.config.document import Document, PipeDoc, ReceiverDoc, ViewDoc
from apps.pipes.config.render import render
from apps.pipes.config.service import Author, Wanted, change
from apps.pipes.models import ApiKey, KeyKind, Pipe, Receiver
from fustor_site.demo.host import Host
from fustor_site.demo.storage import Storage

RECEIVER = "demo"
KEY_NAME = "simulated fleet"
AUTHOR = "manage.py demo"
HOSTS = {"demo-projects": 3, "demo-scratch": 3, "demo-archive-a": 1, "demo-archive-b": 1}
COPIES = ("demo-archive-a", "demo-archive-b")
CHANGES_PER_SECOND = {"demo-projects": 1.0, "demo-scratch": 3.0, "demo-archive-a": 0.05, "demo-archive-b": 0.05}


def configure() -> dict[str, str]:
    """Make what is missing of the demo's receiver, views and pipes; by pipe, a new key for the fleet instead of the last one."""
    present = render()
    views = {pipe: ViewDoc() for pipe in HOSTS if pipe not in COPIES} | {"demo-archive": ViewDoc(driver="fs-forest")}
    pipes = {
        pipe: PipeDoc(receiver=RECEIVER, views=("demo-archive" if pipe in COPIES else pipe,), audit_interval_sec=120)
        for pipe in HOSTS
    }
    missing = Document(
        receivers={} if RECEIVER in present.receivers else {RECEIVER: ReceiverDoc(name="Simulated fleet")},
        views={ident: entry for ident, entry in views.items() if ident not in present.views},
        pipes={ident: entry for ident, entry in pipes.items() if ident not in present.pipes},
    )
    change(Wanted(missing), Author(AUTHOR, "A simulated fleet to look at"))
    revoke()
    receiver = Receiver.objects.get(slug=RECEIVER)
    # a key says which pipe a session is for
    return {
        pipe.slug: keys.create_key(KeyKind.RECEIVER, receiver=receiver, pipes=[pipe], name=KEY_NAME, created_by=AUTHOR)[1]
        for pipe in Pipe.objects.filter(slug__in=HOSTS)
    }


def revoke() -> None:
    """The fleet's keys open nothing while no fleet runs."""
    keys.revoke(ApiKey.objects.filter(receiver__slug=RECEIVER, name=KEY_NAME, revoked_at=None))


async def run(url: str, secrets: dict[str, str], files: int, dice: Random, now: float) -> None:
    """Drive the hosts against a server until cancelled.

    `secrets`: a key by pipe; `files`: how many each storage begins with; `now` in Unix seconds.
    """
    storages: dict[str, Storage] = {}
    for pipe in HOSTS:
        # both copies begin alike and drift apart
        storages[pipe] = Storage(Random(COPIES[0] if pipe in COPIES else pipe))  # noqa: S311 - a made-up tree needs no secrecy
        storages[pipe].fill(files, now)
        storages[pipe].dice = dice
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        hosts = [
            Host(f"{pipe.replace('demo-', 'host-')}-{number + 1}", pipe, secrets[pipe], storages[pipe], http, dice)
            for pipe, count in HOSTS.items()
            for number in range(count)
        ]
        await asyncio.gather(*(host.live(CHANGES_PER_SECOND[host.pipe]) for host in hosts))

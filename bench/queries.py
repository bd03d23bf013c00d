"""How fast the questions are answered while a batch stream comes in: `python bench/queries.py [--rows 1000000] [--times 50]`.

A server of its own, filled over HTTP by a V2 client; then each question is asked over one kept-alive connection while another
client keeps sending realtime batches. `server` is what an answer took beyond `/healthz` on the same connection, so without what
HTTP costs here; it stands beside its target. Then the name index is completed, all is measured again, and once more without the
stream, with the CPU time of the web process for each answer: on a shared machine only that and ratios mean anything.
"""

import argparse
import itertools
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("FUSTOR_HOME", tempfile.mkdtemp(prefix="fustor-bench-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")
if "TEST_DATABASE_URL" in os.environ:  # tools/postgres.py
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django

django.setup()

from apps.views import names
from apps.views.models import NameIndex, Tree
from tests.blackbox.client import Row, V2Client, d, f
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World, server_database

FILES_PER_DIRECTORY = 100
WORDS = ("report", "final", "draft", "image", "sample", "data", "log", "run", "alpha", "beta")
MTIME = 1_700_000_000.0
chance = random.Random(1)


def directory(number: int) -> str:
    """Path of the n-th directory."""
    return f"/project_{number // 100:03}/set_{number % 100:02}"


def rows(nodes: int) -> Iterator[Row]:
    """Rows of the tree, directory by directory."""
    for number in range(nodes // (FILES_PER_DIRECTORY + 1)):
        yield d(directory(number), MTIME)
        for file in range(FILES_PER_DIRECTORY):
            name = f"{chance.choice(WORDS)}_{number:05}_{chance.getrandbits(24):06x}_{file:03}.dat"
            yield f(f"{directory(number)}/{name}", MTIME + chance.random() * 1e7, chance.randrange(10**6))


def fill(client: V2Client, nodes: int) -> float:
    """Send the snapshot; rows a second, every batch committed when answered."""
    began, source = time.perf_counter(), rows(nodes)
    while batch := list(itertools.islice(source, 1_000)):
        assert client.P("sn", batch, "insert").status_code == 200
    client.P("sn", [], end=True)
    return nodes / (time.perf_counter() - began)


class Stream:
    """Realtime batches of 50 rows all over the tree, until stopped."""

    def __init__(self, client: V2Client, directories: int) -> None:
        self.client, self.directories, self.rows = client, directories, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            places = [directory(chance.randrange(self.directories)) for _ in range(50)]
            self.client.P("rt", [f(f"{place}/live_{chance.randrange(1000)}", time.time() - 3600) for place in places])
            self.rows += 50
            time.sleep(0.02)

    def __enter__(self) -> "Stream":
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()
        print(f"meanwhile {self.rows / (time.perf_counter() - self._began):,.0f} realtime rows/s came in")


# milliseconds of server time at a million nodes while ingesting, 95th percentile
TARGETS = {"tree of a directory": 10, "stats": 5, "search": 200, "locate": 300}
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


class Web:
    """The web process, as the kernel accounts for it."""

    def __init__(self, server: RunningServer) -> None:
        assert server.web is not None
        self._proc = Path(f"/proc/{server.web.pid}")

    def cpu_ms(self) -> float:
        """CPU time so far."""
        fields = (self._proc / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_MS

    def memory(self) -> str:
        """Memory it holds of its own, and pages of files that are mapped into it (the kernel takes those back when it wants)."""
        lines = (self._proc / "status").read_text(encoding="utf-8").splitlines()
        held = {name: int(rest.split()[0]) / 1024 for name, _, rest in (line.partition(":") for line in lines) if "Rss" in name}
        return f"{held['RssAnon']:.0f} MB of its own, {held['RssFile']:.0f} MB of mapped files"


class Meter:
    """Asks often and prints median and 95th percentile in ms, what is the server's of it, its CPU time, and the target."""

    def __init__(self, web: Web) -> None:
        self._web, self._base = web, 0.0

    def measure(self, what: str, ask: Callable[[], object], times: int) -> None:
        """The first measurement is of `/healthz`, which the others are compared with."""
        spent, cpu = [], self._web.cpu_ms()
        for _ in range(times):
            began = time.perf_counter()
            ask()
            spent.append((time.perf_counter() - began) * 1000)
        cpu = (self._web.cpu_ms() - cpu) / times
        spent.sort()
        median, p95 = spent[len(spent) // 2], spent[int(len(spent) * 0.95)]
        self._base = self._base or median
        server = max(0.0, p95 - self._base)
        target = next((limit for name, limit in TARGETS.items() if what.startswith(name)), None)
        verdict = "" if target is None else f"target {target} ms: {'met' if server <= target else 'MISSED'}"
        print(f"{what:34} median {median:8.2f}   p95 {p95:8.2f}   server p95 {server:8.2f}   cpu {cpu:7.2f} ms   {verdict}")


def questions(world: World, directories: int, times: int, web: Web) -> None:
    """Every question, with places chosen anew each time."""
    http, measure = world.reader.http, Meter(web).measure

    def ask(call: str, **parameters: object) -> Callable[[], object]:
        def once() -> object:
            filled = {name: value() if callable(value) else value for name, value in parameters.items()}
            answer = http.get(call, params=filled)
            assert answer.status_code == 200, answer.text
            return answer.content

        return once

    def anywhere() -> str:
        return directory(chance.randrange(directories))

    def project() -> str:
        return anywhere().rsplit("/", 1)[0]

    def rare() -> str:
        return f"_{chance.randrange(directories):05}_"

    measure("healthz", lambda: http.get(f"{world.server.url}/healthz"), times)
    measure("tree of a directory", ask("/tree", path=anywhere), times)
    measure("tree page of 1,000", ask("/tree", limit=1000), max(5, times // 5))
    measure("stats of a directory", ask("/stats", path=anywhere), times)
    measure("stats of a project", ask("/stats", path=project), times)
    measure("stats of the root", ask("/stats"), times)
    measure("metadata", ask("/metadata", path=anywhere), times)
    measure("settled, a project", ask("/settled", path=project), times)
    measure("explain", ask("/explain", path=anywhere), times)
    measure("changes, 1,000 back", ask("/changes", since=max(0, world_seq(world) - 1000)), max(5, times // 5))
    measure("search, rare text", ask("/search", pattern=rare, limit=100), max(5, times // 5))
    measure("search, no hit", ask("/search", pattern="nothing-like-it"), max(5, times // 5))
    measure("search, common text, 100 hits", ask("/search", pattern="report", limit=100), max(5, times // 5))
    measure("search, glob in a directory", ask("/search", pattern=lambda: f"{anywhere()}/report_*.dat"), max(5, times // 5))
    measure("locate, rare text", lambda: locate(world, rare()), max(5, times // 5))


def is_indexed(world: World) -> bool:
    """Whether the worker has indexed the whole tree by now."""
    return NameIndex.objects.filter(pk__in=Tree.objects.filter(view=world.view), complete=True).exists()


def world_seq(world: World) -> int:
    """Where the feed stands."""
    return Tree.objects.get(view=world.view).change_seq


def locate(world: World, name: str) -> None:
    """Ask every view of the key."""
    answer = world.reader.http.get(f"{world.server.url}/api/v1/views/locate", params={"name": name})
    assert answer.status_code == 200, answer.text


def main(nodes: int, times: int) -> None:
    """Fill, ask, index, ask again, ask in quiet."""
    directories = nodes // (FILES_PER_DIRECTORY + 1)
    with RunningServer() as server, server_database(server):
        world = World(server)
        client, live = world.client("agent:scan"), world.client("agent:live")
        client.S()
        live.S()
        print(f"snapshot over HTTP: {fill(client, nodes):,.0f} rows/s, {nodes:,} nodes")
        web = Web(server)
        print(f"web process: {web.memory()}")
        print(f"--- while ingesting, the name index {'complete' if is_indexed(world) else 'under way'}")
        with Stream(live, directories):
            questions(world, directories, times, web)
        began, indexed = time.perf_counter(), 0
        while not is_indexed(world):  # the server's own run may be at it: then this one has nothing to do
            indexed += names.index_names(5)
            time.sleep(0.1)
        print(f"name index: {indexed:,} names left to this process, {time.perf_counter() - began:.1f} s")
        print("--- while ingesting, with the name index")
        with Stream(live, directories):
            questions(world, directories, times, web)
        print("--- in quiet")
        questions(world, directories, times, web)
        full = time.perf_counter()
        with world.reader.http.stream("GET", "/tree") as stream:
            size = sum(len(chunk) for chunk in stream.iter_bytes())
        print(f"the whole tree: {size / 1e6:.0f} MB in {time.perf_counter() - full:.1f} s")
        print(f"web process: {web.memory()}")
        world.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="nodes of the view")
    parser.add_argument("--times", type=int, default=50, help="how often the quick questions are asked")
    options = parser.parse_args()
    main(options.rows, options.times)

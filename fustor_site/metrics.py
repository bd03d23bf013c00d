"""`/metrics` for Prometheus: what the database and the broker know, read at the moment of the scrape.

Every web process answers the same, so it does not matter which one is asked. The number of queries is constant.
"""

import resource
from collections.abc import Iterator
from inspect import isawaitable

import redis
from django.conf import settings
from django.db import connection
from django.db.models import Count, F, Q, Sum
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from apps.pipes.auth import manage_auth
from apps.pipes.permissions import Verb
from apps.runtime import clock
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Forbidden, Problem
from apps.sessions.models import Job, Leadership, Session
from apps.views.models import Audit, BlindSpot, Directory, Suspect, Tree
from fustor_schema import __version__, paths
from fustor_site.api import render

TREE = ("view", "scope")
# label values → number
Values = dict[tuple[str, ...], float]


async def metrics(request: HttpRequest) -> HttpResponse:
    """The text format of Prometheus, for management keys with the scope `read` and for people who are logged in."""
    try:
        found = manage_auth(request)
        principal = await found if isawaitable(found) else found
        if not principal.allows(Verb.READ):
            raise Forbidden("This key may not read.", fix="Use a management key with the scope read.")
    except Problem as problem:
        return render(problem)
    return HttpResponse(await run(Lane.QUERY, _text), content_type=CONTENT_TYPE_LATEST)


def _text() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Reading())
    return generate_latest(registry)


class Reading(Collector):
    """One reading of everything."""

    def collect(self) -> Iterator[Metric]:
        """The metrics, in the order in which they are written."""
        yield _gauge("fustor_build_info", "Version of the server.", ("version", "database"), {(__version__, connection.vendor): 1})
        yield _gauge("fustor_process_max_resident_bytes", "Most memory this web process ever used.", (), {(): _peak_memory()})
        yield from _sessions()
        yield from _trees()
        yield from _jobs()
        yield from _queues()


def _sessions() -> Iterator[Metric]:
    live = Session.objects.filter(ended_at=None).values("pipe__slug").annotate(count=Count("number"))
    yield _gauge("fustor_live_sessions", "Sessions of agents that are live.", ("pipe",), _by(live, "pipe__slug", "count"))
    moved = list(Session.objects.values("pipe__slug").annotate(**{name: Sum(name) for name in ("events", "rows", "rejected")}))
    for name, meaning in (("events", "Events committed"), ("rows", "Rows committed"), ("rejected", "Rows refused one by one")):
        yield _counter(f"fustor_{name}", f"{meaning}, by pipe.", ("pipe",), _by(moved, "pipe__slug", name))


def _trees() -> Iterator[Metric]:
    trees = list(Tree.objects.annotate(view_slug=F("view__slug")))
    names = {tree.pk: (tree.view_slug, tree.scope) for tree in trees}
    roots = Directory.objects.filter(tree__in=trees, path=paths.ROOT).values_list(
        "tree_id", "total_files", "total_directories", "total_bytes"
    )
    totals = {names[tree]: counts for tree, *counts in roots}
    for position, (name, meaning) in enumerate((("files", "Files"), ("directories", "Directories"), ("bytes", "Bytes of files"))):
        yield _gauge(f"fustor_tree_{name}", f"{meaning} in the view.", TREE, {key: row[position] for key, row in totals.items()})
    now = clock.now()
    for name, meaning, column in (
        ("snapshot", "a complete snapshot", "last_snapshot_at"),
        ("audit", "a finished audit", "last_audit_finished_at"),
        ("event", "an applied claim", "last_event_at"),
    ):
        ages: Values = {names[tree.pk]: now - at for tree in trees if (at := getattr(tree, column)) is not None}
        yield _gauge(f"fustor_tree_{name}_age_seconds", f"Seconds since {meaning}.", TREE, ages)
    latencies: Values = {names[tree.pk]: ms / 1000 for tree in trees if (ms := tree.last_event_latency_ms) is not None}
    yield _gauge("fustor_tree_latency_seconds", "Observed to visible, of the last realtime claim.", TREE, latencies)
    yield _gauge("fustor_tree_tombstones", "Remembered deletes.", TREE, {names[tree.pk]: tree.tombstone_count for tree in trees})
    yield _counter("fustor_tree_changes", "Changes in the feed.", TREE, {names[tree.pk]: tree.change_seq for tree in trees})
    yield from _doubts(names)
    leaders = Leadership.objects.values_list("tree_id", "epoch", "session_id")
    known = [(names[tree], epoch, session) for tree, epoch, session in leaders if tree in names]
    yield _gauge("fustor_tree_epoch", "Leadership term.", TREE, {key: epoch for key, epoch, _ in known})
    yield _gauge(
        "fustor_tree_has_leader", "1 while a session leads.", TREE, {key: int(session is not None) for key, _, session in known}
    )


def _doubts(names: dict[int, tuple[str, str]]) -> Iterator[Metric]:
    """What is not certain: suspects, open blind spots, deletions held back by an audit."""
    counted = (
        ("fustor_tree_suspects", "Files that may still be changing.", Suspect.objects.all(), Count("pk")),
        ("fustor_tree_blind_spots", "Changes that no agent saw happen.", BlindSpot.objects.filter(closed_at=None), Sum("count")),
        (
            "fustor_tree_held_audits",
            "Audits whose deletions wait for approval.",
            Audit.objects.filter(state=Audit.State.HELD),
            Count("pk"),
        ),
    )
    for name, meaning, rows, figure in counted:
        counts = dict(rows.order_by().values_list("tree_id").annotate(figure))
        yield _gauge(name, meaning, TREE, {key: counts.get(tree, 0) for tree, key in names.items()})


def _jobs() -> Iterator[Metric]:
    open_jobs = Job.objects.filter(state__in=Job.OPEN).order_by().values_list("kind", "state").annotate(Count("pk"))
    yield _gauge("fustor_open_jobs", "Jobs that have not ended.", ("kind", "state"), {(k, s): count for k, s, count in open_jobs})
    ended = Job.objects.filter(~Q(state__in=Job.OPEN)).order_by().values_list("kind", "state").annotate(Count("pk"))
    yield _gauge("fustor_kept_jobs", "Ended jobs in the history.", ("kind", "state"), {(k, s): count for k, s, count in ended})


def _queues() -> Iterator[Metric]:
    broker = redis.Redis.from_url(settings.FUSTOR_REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
    queues = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    lengths: Values = {}
    try:
        lengths = {(queue,): broker.llen(queue) for queue in queues}
    except redis.RedisError:  # the gauge below says it
        pass
    finally:
        broker.close()
    yield _gauge("fustor_broker_up", "1 when the broker answers.", (), {(): int(bool(lengths))})
    yield _gauge("fustor_queue_length", "Messages that wait for a worker.", ("queue",), lengths)


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _by(rows: object, label: str, value: str) -> Values:
    return {(row[label],): row[value] or 0 for row in rows}  # type: ignore[attr-defined]  # rows of QuerySet.values


def _gauge(name: str, meaning: str, labels: tuple[str, ...], values: Values) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(name: str, meaning: str, labels: tuple[str, ...], values: Values) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family

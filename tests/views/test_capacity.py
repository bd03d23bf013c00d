"""`max_nodes` of a forest counts all its members, also while batches of several of them run side by side (R54)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from apps.runtime import clock
from apps.runtime.problems import Busy
from apps.views import capacity
from apps.views.apply import apply_batch
from apps.views.claims import Origin
from apps.views.models import Directory, Tree, View
from apps.views.services import ensure_tree
from fustor_schema.wire import Batch, Envelope, Event
from tests.views.conftest import f

pytestmark = pytest.mark.django_db(transaction=True)

MOST = 40
PATIENCE_SECONDS = 30.0


@pytest.fixture
def members() -> list[Tree]:
    view = View.objects.create(slug="woods", driver="fs-forest", max_nodes=MOST)
    return [ensure_tree(view, name) for name in ("a", "b", "c")]


def held(members: list[Tree]) -> int:
    roots = Directory.objects.filter(tree__in=members, path="/")
    return sum(root.total_files + root.total_directories for root in roots)


def push(tree: Tree, names: list[str]) -> tuple[int, int]:
    """One batch in the open transaction, as the ingestion applies it: rows that were (taken, refused for want of room)."""
    now = clock.now_ms()
    event = Event("insert", [f(f"/{name}") for name in names], "realtime", "fs", "files", index=now, observed_at=now)
    batch = Batch(Envelope(events=[event], source_type="message"), [])
    outcome = apply_batch(tree.pk, Origin(session=tree.pk), batch, now)
    if outcome.bound is not None and outcome.grew > 0:
        capacity.hold([outcome.bound])
    return outcome.applied, len(outcome.rejected)


def sent(tree: Tree, names: list[str]) -> tuple[int, int, int]:
    """A batch as an agent sends it: again when it was told to. Last, how often that was."""
    again = 0
    try:
        while True:
            try:
                with transaction.atomic():
                    return (*push(tree, names), again)
            except Busy:
                again += 1
    finally:
        connection.close()


def is_waited_for() -> bool:
    """Whether another transaction waits for its turn; SQLite's waits to begin, which nobody can see."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        # the table is of the whole cluster, where other tests wait for locks of theirs
        here = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        cursor.execute(f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = {here}")
        return bool(cursor.fetchone()[0])


def test_two_batches_of_two_members_cannot_both_fill_the_last_room(members: list[Tree]) -> None:
    names = [f"n{number}" for number in range(30)]
    begun = threading.Event()

    def first() -> tuple[int, int]:
        try:
            with transaction.atomic():
                taken = push(members[0], names)
                begun.set()
                end = time.monotonic() + PATIENCE_SECONDS
                while not is_waited_for() and time.monotonic() < end:
                    time.sleep(0.02)
                return taken
        finally:
            connection.close()

    def second() -> tuple[int, int, int]:
        assert begun.wait(PATIENCE_SECONDS)
        return sent(members[1], names)

    with ThreadPoolExecutor(2) as pool:
        early, late = pool.submit(first), pool.submit(second)
        assert early.result() == (30, 0)
        taken, refused, again = late.result()
    assert (taken, refused) == (10, 20)
    assert again == (1 if connection.vendor == "postgresql" else 0), "it was applied, found full, and applied anew"
    assert held(members) == MOST


def test_many_batches_at_once_fill_the_forest_to_the_bound_and_no_further(members: list[Tree]) -> None:
    def work(number: int) -> tuple[int, int]:
        tree, done = members[number % len(members)], [0, 0]
        for batch in range(5):
            taken, refused, _ = sent(tree, [f"{number}-{batch}-{row}" for row in range(4)])
            done = [done[0] + taken, done[1] + refused]
        return done[0], done[1]

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(work, range(6)))
    assert (held(members), sum(taken for taken, _ in done)) == (MOST, MOST)
    assert sum(refused for _, refused in done) == 6 * 5 * 4 - MOST


def test_a_full_forest_takes_changes_and_what_replaces_something(members: list[Tree]) -> None:
    with transaction.atomic():
        push(members[0], [f"n{number}" for number in range(MOST)])
    View.objects.update(max_nodes=MOST - 10)
    with transaction.atomic():
        assert push(members[0], ["n1", "n2"]) == (2, 0)
        assert push(members[1], ["more"]) == (0, 1)

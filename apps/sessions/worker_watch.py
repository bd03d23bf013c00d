"""What Celery's events say of the agents' job workers: one that ends gives its jobs back before their leases do.

Runs as a thread of the server's Celery worker (fustor_site.celery). It only hastens: without it, without Redis, and when an event
is lost, the lease decides (services.leases).
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
import structlog
from celery import Celery
from django.db import DatabaseError, close_old_connections
from kombu.exceptions import OperationalError

from apps.sessions.services import jobs, leases

log = structlog.get_logger(__name__)

# a worker beats every two seconds, and reports on a job every second
SILENCE_SECONDS, UNREPORTED_SECONDS = 7.0, 3.0
LOOK_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
ALIVE, STOPPED = ("worker-online", "worker-heartbeat"), "worker-offline"


class Watch:
    """Which workers beat. `gone` is called with the worker's name, as its leases carry it, and with the silence in its reports on
    jobs that shows that it is gone: a worker that was told to stop may still finish what it runs, and an event may be lost.
    """

    def __init__(self, gone: Callable[[str, timedelta], object], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._gone, self._monotonic = gone, monotonic
        self._beats: dict[str, float] = {}
        self._stopped: dict[str, float] = {}

    def hear(self, event: dict[str, Any]) -> None:
        """Take one event of Celery's."""
        name = name_of(event)
        if event.get("type") in ALIVE:
            self._stopped.pop(name, None)
            self._beats[name] = self._monotonic()
        elif event.get("type") == STOPPED:
            self._beats.pop(name, None)
            self._stopped[name] = self._monotonic()
        self.look()

    def look(self) -> None:
        """Tell of those that stopped or fell silent, until their leases have run out anyway."""
        now = self._monotonic()
        self._beats, self._stopped = _younger(self._beats, now), _younger(self._stopped, now)
        for name in self._stopped:
            self._gone(name, timedelta(seconds=UNREPORTED_SECONDS))
        for name, at in self._beats.items():
            if now - at > SILENCE_SECONDS:
                self._gone(name, timedelta(seconds=SILENCE_SECONDS))

    def forget(self) -> None:
        """Nothing could be heard for a while: silence means nothing until each was heard again."""
        self._beats.clear()


def _younger(heard: dict[str, float], now: float) -> dict[str, float]:
    return {name: at for name, at in heard.items() if now - at <= SILENCE_SECONDS + jobs.LEASE_SECONDS}


def name_of(event: dict[str, Any]) -> str:
    """The name under which a worker leases its jobs, `host:process id`."""
    return f"{str(event.get('hostname', '')).rpartition('@')[2]}:{event.get('pid', 0)}"


def start(app: Celery) -> None:
    """Watch in a thread that ends with the process."""
    threading.Thread(target=_run, args=(app, Watch(_give_back)), name="worker-watch", daemon=True).start()


def _run(app: Celery, watch: Watch) -> None:
    while True:
        watch.forget()
        try:
            _listen(app, watch)
        except (OperationalError, redis.RedisError, OSError) as error:
            log.warning("workers are not watched", error=str(error))
        except Exception:  # an event of another Celery, say; the watch goes on, and until then leases decide
            log.exception("the watch of workers failed and starts again")
        time.sleep(RECONNECT_SECONDS)


def _listen(app: Celery, watch: Watch) -> None:
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": watch.hear})
        while True:
            try:
                receiver.capture(limit=None, timeout=LOOK_SECONDS, wakeup=False)
            except TimeoutError:
                watch.look()


def _give_back(worker: str, silence: timedelta) -> None:
    close_old_connections()
    try:
        given = leases.give_back(worker, silence)
    except DatabaseError as error:  # their leases end in time
        log.warning("a lost worker's jobs not given back", worker=worker, error=str(error))
        return
    finally:
        close_old_connections()
    if given:
        log.warning("a job worker is gone", worker=worker, silent_seconds=silence.total_seconds(), jobs=given)

"""The Celery application. Tasks live in each app's `tasks.py`; the schedule is put together in settings."""

import os
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import worker_ready

# Celery warns every root user because of pickle; messages here are JSON only
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")

app = Celery("fustor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def _watch_other_workers(sender: Any, **_: object) -> None:
    if sender.app is not app:  # an agent's worker that was started with the server's environment
        return
    from apps.sessions import worker_watch  # the applications are loaded by now, and are not when this module is imported

    worker_watch.start(app)

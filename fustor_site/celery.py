"""The Celery application. Tasks live in each app's `tasks.py`; the schedule is put together in settings."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")

app = Celery("fustor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

"""The Celery application. Tasks live in each app's `tasks.py`; the schedule is put together in settings."""

import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning

# Celery warns every root user because of pickle; messages here are JSON only
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")

app = Celery("fustor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

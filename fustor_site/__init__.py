"""Wiring only: settings, ASGI, URLs, Celery, the API object, system checks. Nothing here knows a rule."""

from fustor_site.celery import app as celery_app

__all__ = ["celery_app"]

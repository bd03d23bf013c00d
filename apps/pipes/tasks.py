"""Timed work of what is configured. The beat schedule is put together in the settings."""

from celery import shared_task

from apps.pipes import usage


@shared_task(name="pipes.write_down_key_use")
def write_down_key_use() -> None:
    """Keep `last_used_at` of keys within a minute of the truth."""
    usage.write_down()

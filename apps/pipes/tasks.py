"""Timed work of what is configured. The beat schedule is put together in the settings."""

from celery import shared_task

from apps.pipes import audit_retention, logins, usage
from apps.pipes.audit import Actor
from apps.pipes.rollouts import service as rollouts
from apps.runtime import server_settings


@shared_task(name="pipes.write_down_key_use")
def write_down_key_use() -> None:
    """Keep `last_used_at` of keys within a minute of the truth."""
    usage.write_down()


@shared_task(name="pipes.advance_rollouts")
def advance_rollouts() -> None:
    """Watch what agents report of a rollout, send its next wave, halt it: every other second."""
    rollouts.advance_all()


@shared_task(name="pipes.tidy_logins")
def tidy_logins() -> None:
    """Drop login sessions that ran out, and what was noted of them."""
    logins.tidy()


@shared_task(name="pipes.prune_audit")
def prune_audit() -> None:
    """Drop entries of the audit log older than the setting `audit_log_days`; 0 keeps them for ever."""
    if days := server_settings.number("audit_log_days"):
        audit_retention.prune(Actor("retention"), days)

"""Housekeeping of this app, as Celery tasks on the queue `housekeeping`. The schedule stands in fustor_site.settings.

Each task is safe to run twice at once and to be missed: whoever comes later finds what is still to do.
"""

from celery import shared_task

from apps.sessions.services import commands, delivery, leadership, leases, phases, retention, scans, sessions, skipped


@shared_task(name="sessions.expire_sessions")
def expire_sessions() -> None:
    """End silent sessions and promote others (R24): every second."""
    sessions.expire()


@shared_task(name="sessions.follow_configuration")
def follow_configuration() -> None:
    """End what was switched off or revoked, lead what was added: every other second."""
    sessions.end_switched_off()
    leadership.restore()


@shared_task(name="sessions.keep_jobs_moving")
def keep_jobs_moving() -> None:
    """Plan due phases or note why they are skipped, deliver what is stuck, recover what was lost (R45): every other second."""
    leases.recover()
    commands.end_overdue()
    delivery.send_again()
    phases.plan()
    skipped.record()
    scans.ask_rechecks()


@shared_task(name="sessions.forget_received")
def forget_received() -> None:
    """Drop expired marks of received batches: every minute."""
    retention.forget_received()


@shared_task(name="sessions.forget_history")
def forget_history() -> None:
    """Drop history past its retention: every hour."""
    retention.forget_history()

"""Who leads which tree. Written by services.leadership only."""

from django.db import models

from apps.sessions.models.session import Session
from apps.views.models import Tree


class LeadershipCause(models.TextChoices):
    """Why a tree got another leader, or none."""

    OPENED = "opened", "first session of a tree without a leader"
    CLOSED = "closed", "the leader closed its session"
    EXPIRED = "expired", "the leader fell silent"
    SUPERSEDED = "superseded", "the leader's task opened a new session"
    ENDED = "ended", "a person ended the leader's session"
    DISABLED = "disabled", "pipe or receiver switched off"
    REVOKED = "revoked", "the leader's key was revoked"
    HANDED_OVER = "handed_over", "a person handed leadership over"
    RESTORED = "restored", "a live session took over a tree that nobody led"


class Leadership(models.Model):
    """Who leads one tree, in which term. One row per tree: there cannot be two leaders (R24). `epoch` only rises (R22)."""

    tree = models.OneToOneField(Tree, on_delete=models.CASCADE, related_name="leadership")
    session = models.ForeignKey(Session, on_delete=models.SET_NULL, null=True, related_name="leaderships")
    epoch = models.BigIntegerField(default=0)
    since = models.DateTimeField(null=True)


class LeadershipChange(models.Model):
    """One change of leader, for the failover timeline. Written once, never changed."""

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="leadership_changes")
    epoch = models.BigIntegerField()
    previous_task_id = models.CharField(max_length=255, blank=True, help_text="Who led before; empty: nobody")
    task_id = models.CharField(max_length=255, blank=True, help_text="The new leader; empty: nobody leads")
    cause = models.CharField(max_length=20, choices=LeadershipCause)
    actor = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at", "-id")

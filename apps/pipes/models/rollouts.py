"""Tables of rollouts: a revision on its way to its agents in waves, and what each of them made of it. Kept with the revision."""

from django.db import models

from apps.pipes.models.configured import Agent
from apps.pipes.models.history import Revision


class RolloutState(models.TextChoices):
    """How a rollout stands."""

    RUNNING = "running", "goes on"
    HALTED = "halted", "halted: agents failed"
    DONE = "done", "done"
    CANCELLED = "cancelled", "stopped by a person"
    ROLLED_BACK = "rolled_back", "rolled back"


class MemberState(models.TextChoices):
    """What became of one agent in a rollout."""

    WAITING = "waiting", "its wave has not come"
    SENT = "sent", "told, has not reported"
    RUNNING = "running", "runs it"
    FAILED = "failed", "failed"
    AWAY = "away", "not connected"
    SKIPPED = "skipped", "passed over: another revision came"


OPEN_STATES = (RolloutState.RUNNING, RolloutState.HALTED)


class Rollout(models.Model):
    """One revision that reaches its agents in waves. `wave` is the number of the newest wave that went out, from 1."""

    revision = models.OneToOneField(Revision, on_delete=models.PROTECT, primary_key=True, related_name="rollout")
    state = models.CharField(max_length=12, choices=RolloutState, default=RolloutState.RUNNING)
    waves = models.JSONField(help_text="Names of the waves in order")
    wave = models.PositiveIntegerField(default=0)
    tolerated = models.PositiveIntegerField(help_text="Failed agents that do not halt it")
    patience_seconds = models.FloatField()
    pause_seconds = models.FloatField()
    halted_because = models.TextField(blank=True, help_text="Kept after it went on")
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    moved_at = models.DateTimeField(help_text="When a wave went out or an agent settled, the last time")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-revision",)

    def __str__(self) -> str:
        return f"rollout of revision {self.revision_id}: {self.state}"

    @property
    def is_open(self) -> bool:
        """Whether it can still reach agents."""
        return self.state in OPEN_STATES


class RolloutMember(models.Model):
    """One agent of a rollout. `previous_revision`: what it should have run before; it keeps that while it waits."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="members")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="rollouts")
    wave = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=MemberState, default=MemberState.WAITING)
    reason = models.TextField(blank=True)
    previous_revision = models.PositiveBigIntegerField()
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("wave", "agent__slug")
        constraints = (models.UniqueConstraint(fields=("rollout", "agent"), name="agent_once_per_rollout"),)
        indexes = (models.Index(fields=("agent",), condition=models.Q(state="waiting"), name="held_back_agents"),)

    def __str__(self) -> str:
        return f"{self.agent} in {self.rollout}: {self.state}"

"""What is happening: sessions, who leads, what was asked, what runs, what happened."""

from django.db import models
from django.db.models import Q

from apps.pipes.models import AgentPipe, ApiKey, Pipe
from apps.runtime.ids import new_uuid
from apps.views.models import Tree


class Session(models.Model):
    """One AgentPipe talking to one Pipe. Live while `ended_at` is empty; one live session per task id and pipe (R27).

    Times are server time (apps.runtime.clock). `number` is what node rows keep instead of the 128-bit id.
    """

    class EndCause(models.TextChoices):
        CLOSED = "closed", "closed by the agent"
        EXPIRED = "expired", "no heartbeat within the timeout"
        SUPERSEDED = "superseded", "the same task opened a new session"
        ENDED = "ended", "ended by a person"
        DISABLED = "disabled", "pipe or receiver switched off"
        REVOKED = "revoked", "its key was revoked"

    number = models.BigAutoField(primary_key=True)
    id = models.UUIDField(unique=True, default=new_uuid, editable=False)
    pipe = models.ForeignKey(Pipe, on_delete=models.PROTECT, related_name="sessions")
    key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, related_name="sessions")
    agent_pipe = models.ForeignKey(AgentPipe, on_delete=models.SET_NULL, null=True, related_name="sessions")
    task_id = models.CharField(max_length=255)
    agent_name = models.CharField(max_length=255, blank=True)
    protocol = models.PositiveSmallIntegerField(default=2)
    timeout_seconds = models.PositiveIntegerField()
    client_info = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    last_active_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_cause = models.CharField(max_length=20, choices=EndCause, blank=True)
    can_realtime = models.BooleanField(default=False)
    state = models.PositiveIntegerField(default=0, help_text="PipeState as reported")
    agent_status = models.JSONField(default=dict, blank=True)
    committed_seq = models.BigIntegerField(default=0)
    events = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(
                fields=("pipe", "task_id"), condition=Q(ended_at__isnull=True), name="one_live_session_per_task"
            ),
        )

    def __str__(self) -> str:
        return self.task_id


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
    task_id = models.CharField(max_length=255, blank=True, help_text="The new leader; empty: nobody leads")
    cause = models.CharField(max_length=20)
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at", "-id")


class Job(models.Model):
    """One run of a phase, or one request for it. Created and finished only by services.jobs."""

    class Kind(models.TextChoices):
        SNAPSHOT = "snapshot", "Snapshot"
        AUDIT = "audit", "Audit"
        SENTINEL = "sentinel", "Sentinel"
        SCAN = "scan", "On-demand scan"

    class State(models.TextChoices):
        QUEUED = "QUEUED", "queued"
        LEASED = "LEASED", "leased"
        RUNNING = "RUNNING", "running"
        DONE = "DONE", "done"
        FAILED = "FAILED", "failed"
        EXPIRED = "EXPIRED", "expired"
        CANCELLED = "CANCELLED", "cancelled"

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "schedule"
        PERSON = "person", "person"
        API = "api", "API"
        FAILOVER = "failover", "failover"
        GAP = "gap", "gap"
        START = "start", "session start"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    state = models.CharField(max_length=20, choices=State, default=State.QUEUED)
    trigger = models.CharField(max_length=20, choices=Trigger)
    actor = models.CharField(max_length=200, blank=True)
    pipe = models.ForeignKey(Pipe, on_delete=models.CASCADE, related_name="jobs")
    tree = models.ForeignKey(Tree, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs")
    session = models.ForeignKey(Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs")
    path = models.TextField(default="/")
    recursive = models.BooleanField(default=True)
    attempt = models.PositiveSmallIntegerField(default=1)
    lease_until = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    progress = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)


class Command(models.Model):
    """One order to an agent, delivered on heartbeats: leased, acknowledged, done once (R45)."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="commands")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, blank=True, related_name="commands")
    type = models.CharField(max_length=30)
    parameters = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=20, choices=Job.State, default=Job.State.QUEUED)
    actor = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField()
    result = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

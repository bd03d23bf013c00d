"""Jobs and commands. Created and finished by services.jobs and services.commands only."""

from django.db import models
from django.db.models import Q

from apps.pipes.models import Pipe
from apps.runtime.ids import new_uuid
from apps.sessions.models.session import Session
from apps.views.models import Tree


class Job(models.Model):
    """One run of a phase, or one request for it.

    `request` groups the jobs of one request over several trees (a scan of a forest): the API shows them as one.
    """

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
        GAP = "gap", "gap or re-check"
        START = "start", "session start"
        AGENT = "agent", "begun by the agent itself"

    class Delivery(models.TextChoices):
        NONE = "", "not yet"
        QUEUE = "queue", "Celery queue of the agent"
        COMMAND = "command", "command on a heartbeat"
        AGENT = "agent", "run by the agent on its own"

    OPEN = (State.QUEUED, State.LEASED, State.RUNNING)
    ENDED = (State.DONE, State.FAILED, State.EXPIRED, State.CANCELLED)

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    request = models.UUIDField(default=new_uuid, editable=False, db_index=True)
    kind = models.CharField(max_length=20, choices=Kind)
    state = models.CharField(max_length=20, choices=State, default=State.QUEUED)
    trigger = models.CharField(max_length=20, choices=Trigger)
    actor = models.CharField(max_length=200, blank=True)
    pipe = models.ForeignKey(Pipe, on_delete=models.CASCADE, related_name="jobs")
    tree = models.ForeignKey(Tree, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs")
    session = models.ForeignKey(Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs")
    task_id = models.CharField(max_length=255, blank=True, help_text="Who runs it; outlives its session")
    epoch = models.BigIntegerField(default=0, help_text="Leadership term it was created in")
    path = models.TextField(default="/")
    recursive = models.BooleanField(default=True)
    delivery = models.CharField(max_length=10, choices=Delivery, blank=True)
    worker = models.CharField(max_length=255, blank=True)
    attempt = models.PositiveSmallIntegerField(default=1)
    lease_until = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    retry_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="retries")
    config_version = models.PositiveIntegerField(default=0, help_text="Version of the pipe when the job was created")
    found = models.BigIntegerField(default=0, help_text="Rows found so far")
    previous_total = models.BigIntegerField(null=True, help_text="Rows that the last run of this kind found")
    progress = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("tree", "kind"),
                condition=Q(state__in=("QUEUED", "LEASED", "RUNNING"), kind__in=("snapshot", "audit", "sentinel")),
                name="one_open_phase_per_tree",
            ),
        )
        indexes = (
            models.Index(fields=("state", "lease_until"), name="job_by_lease"),
            models.Index(fields=("tree", "kind", "-created_at"), name="job_by_tree"),
            models.Index(fields=("created_at",), name="job_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"

    @property
    def was_skipped(self) -> bool:
        """Due and never given to anybody (services.skipped)."""
        return self.state == self.State.EXPIRED and not self.task_id

    @property
    def is_open(self) -> bool:
        """Still to be finished."""
        return self.state in self.OPEN


class Command(models.Model):
    """One order to an agent, delivered on heartbeats: leased, acknowledged, done once (R45)."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="commands")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, blank=True, related_name="commands")
    type = models.CharField(max_length=30)
    parameters = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=20, choices=Job.State, default=Job.State.QUEUED)
    actor = models.CharField(max_length=200, blank=True)
    deliveries = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField()
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = (
            models.Index(
                fields=("session", "created_at"), condition=Q(state__in=("QUEUED", "LEASED")), name="open_command_by_session"
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} → {self.session}"

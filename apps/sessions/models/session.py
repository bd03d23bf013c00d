"""Sessions and what is remembered of their batches. Written by services.sessions, services.liveness and services.ingest."""

from django.db import models
from django.db.models import Q

from apps.pipes.models import AgentPipe, ApiKey, Pipe
from apps.runtime.ids import new_uuid


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
    pipe = models.ForeignKey(Pipe, on_delete=models.CASCADE, related_name="sessions")
    key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, related_name="sessions")
    agent_pipe = models.ForeignKey(AgentPipe, on_delete=models.SET_NULL, null=True, related_name="sessions")
    task_id = models.CharField(max_length=255)
    agent_name = models.CharField(max_length=255, blank=True, help_text="Agent id: the task id up to its first colon")
    protocol = models.PositiveSmallIntegerField(default=2)
    timeout_seconds = models.PositiveIntegerField()
    source_uri = models.CharField(max_length=4096, blank=True)
    root_id = models.CharField(max_length=200, blank=True, help_text="Identity of the mount (R20)")
    job_queue = models.BooleanField(default=False, help_text="The agent consumes the Celery queue agent.<agent id>")
    client_info = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    last_active_at = models.DateTimeField(help_text="May lag the last beat by a quarter of the timeout")
    silent_after = models.DateTimeField(help_text="last_active_at + timeout: when silence ends it")
    ended_at = models.DateTimeField(null=True, blank=True)
    end_cause = models.CharField(max_length=20, choices=EndCause, blank=True)
    can_realtime = models.BooleanField(default=False)
    state = models.PositiveIntegerField(default=0, help_text="PipeState as reported")
    agent_status = models.JSONField(default=dict, blank=True)
    clock = models.JSONField(default=dict, blank=True, help_text="State of apps.sessions.offsets")
    last_index = models.BigIntegerField(default=0, help_text="Newest event index of committed realtime: where to resume")
    last_batch_at = models.DateTimeField(null=True, blank=True)
    batches = models.BigIntegerField(default=0)
    events = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0, help_text="Rows refused one by one (R32)")
    duplicates = models.BigIntegerField(default=0, help_text="Batches acknowledged without effect (R1)")

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(
                fields=("pipe", "task_id"), condition=Q(ended_at__isnull=True), name="one_live_session_per_task"
            ),
        )
        indexes = (
            models.Index(fields=("silent_after",), condition=Q(ended_at__isnull=True), name="live_session_by_silence"),
            models.Index(fields=("ended_at",), name="session_by_end"),
        )

    def __str__(self) -> str:
        return self.task_id

    @property
    def masked_id(self) -> str:
        """The start of the id: enough to tell sessions apart, too little to use one (R50)."""
        return self.id.hex[:8]


class SessionStream(models.Model):
    """How far one numbered stream of a session is committed (R1, R28)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="streams", db_index=False)
    stream = models.CharField(max_length=64, blank=True, help_text="Empty: realtime; else the job whose worker sends it")
    committed_seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("session", "stream"), name="stream_once_per_session"),)


class ReceivedBatch(models.Model):
    """A batch without seq that was applied: a repetition within the window is acknowledged without effect (R1)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="received", db_index=False)
    token = models.CharField(max_length=80, help_text="batch_id, or the body's hash")
    at = models.DateTimeField()
    answer = models.JSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("session", "token"), name="batch_once_per_session"),)
        indexes = (models.Index(fields=("at",), name="received_batch_by_time"),)


class StateChange(models.Model):
    """One change of the PipeState that a session reported, with whether the state machine allows it."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="state_changes")
    at = models.DateTimeField()
    before = models.PositiveIntegerField()
    after = models.PositiveIntegerField()
    objection = models.CharField(max_length=200, blank=True, help_text="Why the state machine does not know this change")

    class Meta:
        ordering = ("-at", "-id")


class ConfigReport(models.Model):
    """The configuration an agent reported last, per file, with its secrets struck out before storing (R50)."""

    pipe = models.ForeignKey(Pipe, on_delete=models.CASCADE, related_name="config_reports")
    agent_name = models.CharField(max_length=255)
    filename = models.CharField(max_length=255)
    config_yaml = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ("agent_name", "filename")
        constraints = (models.UniqueConstraint(fields=("pipe", "agent_name", "filename"), name="one_config_report_per_file"),)

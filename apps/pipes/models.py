"""What is configured: receivers with their keys, pipes, agents, sources, senders, agent pipes."""

from django.db import models
from django.db.models import Q

from apps.views.models import View


class Configured(models.Model):
    """What every configured object has: an id for people and YAML, a name, an on/off switch, a version for optimistic locking."""

    slug = models.SlugField("id", max_length=100, unique=True)
    name = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Receiver(Configured):
    """Takes events in. Owns the receiver keys; `settings` belong to the driver (`max_body_bytes` …)."""

    driver = models.CharField(max_length=50, default="http")
    settings = models.JSONField(default=dict, blank=True)


class Pipe(Configured):
    """Receiver → one or more views."""

    receiver = models.ForeignKey(Receiver, on_delete=models.PROTECT, related_name="pipes")
    views = models.ManyToManyField(View, through="PipeView", related_name="pipes")
    session_timeout_seconds = models.PositiveIntegerField(default=30)
    audit_interval_sec = models.FloatField(default=600.0)
    sentinel_interval_sec = models.FloatField(default=120.0)
    allow_concurrent_push = models.BooleanField(default=True)
    paused = models.BooleanField(default=False)


class PipeView(models.Model):
    """One view that a pipe feeds. A view that is fed cannot be deleted."""

    pipe = models.ForeignKey(Pipe, on_delete=models.CASCADE)
    view = models.ForeignKey(View, on_delete=models.PROTECT)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("pipe", "view"), name="pipe_feeds_view_once"),)


class Agent(Configured):
    """One host that runs `fustor-agent`. `slug` is the agent id that it gives in its task id.

    `enrolled_at` is empty for an agent that is only known from sessions of a shared receiver key.
    """

    hostname = models.CharField(max_length=255, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    agent_version = models.CharField(max_length=50, blank=True)
    enrolled_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    health = models.JSONField(default=dict, blank=True, help_text="Last health report of the agent.")


class Source(Configured):
    """Reads changes from storage."""

    driver = models.CharField(max_length=50, default="fs")
    uri = models.CharField(max_length=4096)
    settings = models.JSONField(default=dict, blank=True)


class Sender(Configured):
    """Carries events out. `settings` hold references to secrets, never values."""

    driver = models.CharField(max_length=50, default="http")
    uri = models.CharField(max_length=2048, blank=True)
    settings = models.JSONField(default=dict, blank=True)


class AgentPipe(Configured):
    """Source → Sender on one agent, talking to one pipe of this server when the sender points here."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="agent_pipes")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="agent_pipes")
    sender = models.ForeignKey(Sender, on_delete=models.PROTECT, related_name="agent_pipes")
    pipe = models.ForeignKey(Pipe, on_delete=models.PROTECT, null=True, blank=True, related_name="agent_pipes")
    settings = models.JSONField(default=dict, blank=True, help_text="fields_mapping, batch size, limits")


class KeyKind(models.TextChoices):
    """What a key is for. Its scope is fixed when it is made."""

    RECEIVER = "receiver", "Receiver key: ingest into its pipes"
    AGENT = "agent", "Agent key: one enrolled agent"
    QUERY = "query", "Query key: read its views"
    MANAGEMENT = "management", "Management key: what its scopes say"


class ApiKey(models.Model):
    """A credential of a program. Only a keyed hash is stored; the secret was shown once."""

    kind = models.CharField(max_length=20, choices=KeyKind)
    name = models.CharField(max_length=200, blank=True)
    prefix = models.CharField(max_length=16, help_text="Readable start, to tell keys apart")
    last_four = models.CharField(max_length=4)
    digest = models.CharField(max_length=64, unique=True, help_text="Keyed hash of the secret")
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, null=True, blank=True, related_name="keys")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True, blank=True, related_name="keys")
    pipes = models.ManyToManyField(Pipe, blank=True, related_name="keys")
    views = models.ManyToManyField(View, blank=True, related_name="keys")
    all_views = models.BooleanField(default=False)
    scopes = models.JSONField(default=list, blank=True)
    allowed_networks = models.JSONField(default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("kind", "prefix")
        constraints = (
            models.CheckConstraint(condition=~Q(kind="receiver") | Q(receiver__isnull=False), name="receiver_key_has_receiver"),
            models.CheckConstraint(condition=~Q(kind="agent") | Q(agent__isnull=False), name="agent_key_has_agent"),
        )

    def __str__(self) -> str:
        return f"{self.prefix}…{self.last_four}"

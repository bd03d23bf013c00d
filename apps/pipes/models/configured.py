"""Tables of what is configured: receivers, pipes, agents, sources, senders, agent pipes."""

from django.db import models

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

    # hosts bring their names, with dots in them
    slug = models.CharField("id", max_length=100, unique=True)
    hostname = models.CharField(max_length=255, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    agent_version = models.CharField(max_length=50, blank=True)
    enrolled_at = models.DateTimeField(null=True, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="Identity of the installation that was approved")
    last_seen_at = models.DateTimeField(null=True, blank=True)
    desired_revision = models.PositiveBigIntegerField(default=0, help_text="Revision that last changed what it should run")
    reported_revision = models.PositiveBigIntegerField(default=0, help_text="Revision that it says it runs; 0: none yet")
    reported_error = models.TextField(blank=True, help_text="Why it refused the desired revision")
    reported_at = models.DateTimeField(null=True, blank=True)
    health = models.JSONField(default=dict, blank=True, help_text="Last health report of the agent.")


class Source(Configured):
    """Reads changes from storage."""

    driver = models.CharField(max_length=50, default="fs")
    uri = models.CharField(max_length=4096)
    settings = models.JSONField(default=dict, blank=True)


class Sender(Configured):
    """Carries events out. `credential` refers to a secret (`key_ref`, `env`, `file`), it never holds one."""

    driver = models.CharField(max_length=50, default="http")
    uri = models.CharField(max_length=2048, blank=True)
    credential = models.JSONField(default=dict, blank=True)
    settings = models.JSONField(default=dict, blank=True)


class AgentPipe(Configured):
    """Source → Sender on one agent, talking to one pipe of this server when the sender points here.

    Its id is unique on its agent: two hosts may both run `home`. The task id of its sessions is `<agent>:<slug>`.
    """

    slug = models.SlugField("id", max_length=100)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="agent_pipes")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="agent_pipes")
    sender = models.ForeignKey(Sender, on_delete=models.PROTECT, related_name="agent_pipes")
    pipe = models.ForeignKey(Pipe, on_delete=models.PROTECT, null=True, blank=True, related_name="agent_pipes")
    settings = models.JSONField(default=dict, blank=True, help_text="fields_mapping, batch size, limits")

    class Meta(Configured.Meta):
        constraints = (models.UniqueConstraint(fields=("agent", "slug"), name="agent_pipe_once_per_agent"),)

    def __str__(self) -> str:
        return f"{self.agent.slug}:{self.slug}"

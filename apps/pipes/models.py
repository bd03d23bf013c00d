"""What is configured: receivers with their keys, pipes, agents, sources, senders, agent pipes; and who may touch it."""

from django.conf import settings
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

    # hosts bring their names, with dots in them
    slug = models.CharField("id", max_length=100, unique=True)
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


class KeyKind(models.TextChoices):
    """What a key is for. Its scope is fixed when it is made."""

    RECEIVER = "receiver", "Receiver key: ingest into its pipes"
    AGENT = "agent", "Agent key: one enrolled agent"
    QUERY = "query", "Query key: read its views"
    MANAGEMENT = "management", "Management key: what its scopes say"


# start of the digest of a key whose secret this server never saw
UNSET = "unset:"


class ApiKey(models.Model):
    """A credential of a program. Only a keyed hash is stored; the secret was shown once.

    `ref` names the key in YAML and in the console: it says nothing about the secret. A key whose reference was imported
    without its secret has the digest `unset:<ref>`, which no secret can produce.
    """

    class Origin(models.TextChoices):
        CREATED = "created", "made here"
        IMPORTED = "imported", "read from YAML; a later import that leaves it out revokes it"

    class Revocation(models.TextChoices):
        REMOVED = "removed", "left out of the configuration; listing it again brings it back"
        REVOKED = "revoked", "revoked by a person, for good"
        ROTATED = "rotated", "replaced by a newer key, for good"

    ref = models.CharField(max_length=24, unique=True)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.CREATED)
    kind = models.CharField(max_length=20, choices=KeyKind)
    name = models.CharField(max_length=200, blank=True)
    prefix = models.CharField(max_length=16, help_text="Readable start, to tell keys apart")
    last_four = models.CharField(max_length=4)
    digest = models.CharField(max_length=64, unique=True, help_text="Keyed hash of the secret")
    replaces = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replaced_by")
    receiver = models.ForeignKey(Receiver, on_delete=models.SET_NULL, null=True, blank=True, related_name="keys")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True, blank=True, related_name="keys")
    pipes = models.ManyToManyField(Pipe, blank=True, related_name="keys")
    views = models.ManyToManyField(View, blank=True, related_name="keys")
    all_views = models.BooleanField(default=False)
    scopes = models.JSONField(default=list, blank=True)
    allowed_networks = models.JSONField(default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.CharField(max_length=10, choices=Revocation, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("kind", "prefix")
        constraints = (
            models.CheckConstraint(
                condition=~Q(kind="receiver") | Q(receiver__isnull=False) | Q(revoked_at__isnull=False),
                name="receiver_key_has_receiver",
            ),
            models.CheckConstraint(condition=~Q(kind="agent") | Q(agent__isnull=False), name="agent_key_has_agent"),
        )

    def __str__(self) -> str:
        return f"{self.prefix}…{self.last_four}"

    @property
    def is_unset(self) -> bool:
        """Whether only its reference is known here: no program can use it until its secret is imported."""
        return self.digest.startswith(UNSET)


class Role(models.TextChoices):
    """What a person may do; the table is in apps.pipes.permissions."""

    VIEWER = "viewer", "Viewer: looks"
    OPERATOR = "operator", "Operator: looks and runs"
    ADMIN = "admin", "Admin: everything"


class Person(models.Model):
    """The role of one user. A user without this row is a viewer (a superuser: an admin)."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="person")
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)
    restricted = models.BooleanField(default=False, help_text="A viewer who sees the listed views only")
    views = models.ManyToManyField(View, blank=True, related_name="people")

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"


class Revision(models.Model):
    """One accepted change of the configuration: the whole document after it, who made it and why. Never changed."""

    number = models.BigAutoField(primary_key=True)
    document = models.JSONField()
    summary = models.CharField(max_length=500, help_text="What changed, in one line")
    message = models.TextField(blank=True, help_text="Why, in the author's words")
    author = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    restores = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="restored_as")

    class Meta:
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"{self.number}: {self.summary}"

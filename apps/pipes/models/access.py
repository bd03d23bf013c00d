"""Tables of who may do what: keys of programs, roles of people, enrolment of hosts."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.pipes.models.configured import Agent, Pipe, Receiver
from apps.runtime.ids import new_uuid
from apps.views.models import View


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


class Theme(models.TextChoices):
    """How the console looks to a person."""

    SYSTEM = "", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Person(models.Model):
    """The role of one user. A user without this row is a viewer (a superuser: an admin)."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="person")
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)
    restricted = models.BooleanField(default=False, help_text="A viewer who sees the listed views only")
    views = models.ManyToManyField(View, blank=True, related_name="people")
    theme = models.CharField(max_length=5, blank=True, choices=Theme, default=Theme.SYSTEM)
    time_zone = models.CharField(max_length=60, blank=True, help_text="IANA name; empty is UTC")

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"


class Login(models.Model):
    """One login of a person: which browser, from where. It stands for a row of Django's sessions and goes with it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="logins")
    session_key = models.CharField(max_length=40, unique=True)
    browser = models.CharField(max_length=300, blank=True, help_text="What the browser calls itself")
    address = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField()

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"{self.user} from {self.address}"


class EnrolmentToken(models.Model):
    """Lets hosts ask to become agents. It opens nothing but the list of pending hosts, unless it approves by itself."""

    digest = models.CharField(max_length=64, unique=True)
    prefix = models.CharField(max_length=16)
    name = models.CharField(max_length=200, blank=True)
    labels = models.JSONField(default=dict, blank=True, help_text="Labels that its agents get")
    pipe = models.ForeignKey(
        Pipe, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", help_text="Pipe that its agents may feed at once"
    )
    max_uses = models.PositiveIntegerField(default=1)
    uses = models.PositiveIntegerField(default=0)
    auto_approve = models.BooleanField(default=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-created_at",)
        constraints = (models.CheckConstraint(condition=Q(uses__lte=models.F("max_uses")), name="token_within_its_uses"),)

    def __str__(self) -> str:
        return f"{self.prefix}…"


class Enrolment(models.Model):
    """One request of a host to become an agent, and what was decided.

    The host proves that it is the one that asked by its claim secret, and gets its key once, when it asks again after approval.
    """

    class State(models.TextChoices):
        PENDING = "pending", "waiting for a decision"
        APPROVED = "approved", "approved, key not fetched yet"
        DONE = "done", "approved, key fetched"
        REJECTED = "rejected", "rejected"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    token = models.ForeignKey(EnrolmentToken, on_delete=models.PROTECT, related_name="enrolments")
    agent_slug = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    claim_digest = models.CharField(max_length=64)
    hostname = models.CharField(max_length=255, blank=True)
    agent_version = models.CharField(max_length=50, blank=True)
    address = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    agent = models.ForeignKey(Agent, on_delete=models.SET_NULL, null=True, blank=True, related_name="enrolments")
    reason = models.CharField(max_length=500, blank=True, help_text="Why it was rejected, or needs a look")
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("agent_slug", "fingerprint"), condition=Q(state="pending"), name="one_pending_request_per_installation"
            ),
        )

    def __str__(self) -> str:
        return f"{self.agent_slug} ({self.state})"

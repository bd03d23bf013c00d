"""Views and their trees: what is looked at, and the unit of leadership, audit, freshness and locking."""

from django.db import models


class ViewDriver(models.TextChoices):
    """Built-in drivers of views."""

    FS = "fs", "File system"
    FS_FOREST = "fs-forest", "Forest of file systems"


class View(models.Model):
    """One arbitrated picture. `slug` is the `view_id` of the API and of YAML."""

    slug = models.SlugField("view id", max_length=100, unique=True, allow_unicode=False)
    name = models.CharField(max_length=200, blank=True)
    driver = models.CharField(max_length=50, default=ViewDriver.FS, choices=ViewDriver)
    enabled = models.BooleanField(default=True)
    live_mode = models.BooleanField(default=False, help_text="Empty the view when its last session ends (R25).")
    hot_file_threshold = models.FloatField(default=30.0, help_text="Seconds without change until a file is not suspect (R40).")
    tombstone_floor = models.FloatField(default=3600.0, help_text="Seconds that every tombstone is kept at least (R8).")
    attr_cache_bound = models.FloatField(default=60.0, help_text="Seconds that an NFS client may see an old listing (R13).")
    brake_rows = models.PositiveIntegerField(default=1000, help_text="An audit that deletes more than this … (R21)")
    brake_share = models.FloatField(default=0.2, help_text="… and more than this share is held (R21).")
    max_nodes = models.PositiveBigIntegerField(null=True, blank=True, help_text="Most nodes the view takes (R54).")
    driver_params = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Tree(models.Model):
    """One (view, source scope): the unit of leadership, audit, freshness and of locking.

    An `fs` view has one tree with scope "". A forest has one tree per pipe; the scope is the pipe's slug (R51).
    """

    view = models.ForeignKey(View, on_delete=models.CASCADE, related_name="trees")
    scope = models.CharField(max_length=100, blank=True, default="")
    # --- written by services of apps.sessions through apps.views.services.presence ---
    epoch = models.BigIntegerField(default=0, help_text="Leadership term whose scans count (R22)")
    leader_session = models.BigIntegerField(null=True, help_text="Session.number of the leader")
    live_sessions = models.PositiveIntegerField(default=0)
    offline_since = models.FloatField(null=True, help_text="Server time since when no session is live")
    leaderless_since = models.FloatField(null=True)
    source_lost = models.CharField(max_length=200, blank=True, help_text="Why the source is not trusted (R20); empty: it is")
    root_id = models.CharField(max_length=200, blank=True, help_text="Identity of the mount (R20)")
    # --- written by apply and audits, in the transaction of the batch ---
    change_seq = models.BigIntegerField(default=0, help_text="Sequence of the last change in the feed")
    reset_seq = models.BigIntegerField(default=0, help_text="Sequence of the last `reset` in the feed: the past before it is gone")
    deep_verified_at = models.FloatField(null=True, help_text="Start of the last complete cycle that looked at everything (R18)")
    snapshot_complete_at = models.FloatField(null=True, help_text="First complete snapshot; empty: answer 503 (R25)")
    last_snapshot_at = models.FloatField(null=True)
    snapshot_started_at = models.FloatField(null=True, help_text="First row of the snapshot that is under way")
    last_audit_finished_at = models.FloatField(null=True)
    audit_cycle_count = models.PositiveIntegerField(default=0)
    last_event_at = models.FloatField(null=True, help_text="Server time of the last applied claim")
    last_event_latency_ms = models.FloatField(null=True, help_text="Observed → visible, of the last realtime claim (R49)")
    clock = models.JSONField(default=dict, blank=True, help_text="State of apps.views.clock (R42)")
    capacity_exceeded = models.BooleanField(default=False)
    tombstone_count = models.PositiveIntegerField(default=0)
    blind_deletions = models.BooleanField(default=False, help_text="Deletions that only scans saw may be open (R41)")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("view", "scope"), name="tree_once_per_scope"),)

    def __str__(self) -> str:
        return f"{self.view_id}:{self.scope}"

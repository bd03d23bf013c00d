"""What a tree remembers beside its nodes: tombstones, suspects, blind spots, gaps. All durable, all bounded."""

from django.db import models
from django.db.models import Q

from apps.views.models.view import Tree


class Tombstone(models.Model):
    """A delete that keeps older claims away from a path, and with `subtree` from all below it (R6). Times in server ms."""

    pk = models.CompositePrimaryKey("tree_id", "path")
    tree = models.ForeignKey(Tree, on_delete=models.DO_NOTHING, related_name="tombstones", db_index=False, db_constraint=False)
    path = models.TextField()
    subtree = models.BooleanField(default=False)
    observed_at = models.BigIntegerField()
    error_ms = models.IntegerField(default=0)
    created_at = models.BigIntegerField()
    session = models.BigIntegerField(default=0)
    source = models.CharField(max_length=20, default="realtime")
    rule = models.SmallIntegerField(default=0)

    class Meta:
        indexes = (models.Index(fields=("created_at",), name="tombstone_created"),)


class Suspect(models.Model):
    """A node that may still be being written (R40). `until` and `since` in server seconds (wall clock for clients)."""

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="suspects", db_index=False)
    path = models.TextField()
    partial = models.BooleanField(default=False)
    since = models.FloatField()
    until = models.FloatField(help_text="Not before this time can it be settled")
    mtime = models.FloatField(null=True)
    size = models.BigIntegerField(null=True)
    asked_at = models.FloatField(null=True, help_text="Last handed out as a sentinel task")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tree", "path"), name="suspect_once_per_path"),)
        indexes = (models.Index(fields=("tree", "until"), name="suspect_due"),)


class BlindSpot(models.Model):
    """A change that only a scan saw (R41). Closed by a realtime event on the path or by a person; kept as history.

    An `aggregate` stands for many changes of one kind directly in the directory at `path` (R54); nodes that it counts have a
    COUNTED flag, so a realtime event on one of them counts it down.
    """

    class Change(models.TextChoices):
        ADDED = "added"
        MODIFIED = "modified"
        DELETED = "deleted"

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="blind_spots", db_index=False)
    path = models.TextField()
    is_directory = models.BooleanField(default=False)
    change = models.CharField(max_length=10, choices=Change)
    count = models.BigIntegerField(default=1, help_text="Nodes that changed: of a subtree that went, or of an aggregate")
    aggregate = models.BooleanField(default=False, help_text="Stands for the oldest records of a directory (R54)")
    detected_at = models.FloatField()
    audit = models.BigIntegerField(null=True)
    closed_at = models.FloatField(null=True)
    closed_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("tree", "path"),
                condition=Q(closed_at__isnull=True, aggregate=False),
                name="one_open_blind_spot_per_path",
            ),
            models.UniqueConstraint(
                fields=("tree", "path", "change"),
                condition=Q(closed_at__isnull=True, aggregate=True),
                name="one_open_aggregate_per_kind",
            ),
        )
        indexes = (models.Index(fields=("tree", "detected_at"), name="blind_spot_by_time"),)


class Gap(models.Model):
    """A scope that is unverified until a scan of it that started later completes (R37). Times in server ms."""

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="gaps")
    path = models.TextField()
    reason = models.CharField(max_length=200)
    session = models.BigIntegerField()
    opened_at = models.BigIntegerField()
    closed_at = models.BigIntegerField(null=True)

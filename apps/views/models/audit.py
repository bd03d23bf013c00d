"""Audit cycles, what they have listed so far, and targeted re-checks that the rules asked for."""

from django.db import models
from django.db.models import Q

from apps.views.models.view import Tree


class Audit(models.Model):
    """One audit cycle of one tree, in one leadership term (R10, R14). Times in server ms."""

    class State(models.TextChoices):
        OPEN = "OPEN", "open"
        HELD = "HELD", "deletions held for approval"
        COMPLETE = "COMPLETE", "complete"
        PARTIAL = "PARTIAL", "partial"
        ABORTED = "ABORTED", "aborted"

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="audits")
    audit_id = models.CharField(max_length=100, blank=True, help_text="As the agent named it; empty for old clients")
    epoch = models.BigIntegerField()
    session = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    started_at = models.BigIntegerField(help_text="The fence: start of the scan, not arrival (R15)")
    opened_at = models.BigIntegerField(default=0, help_text="Arrival of its start, server ms")
    opened_mark = models.CharField(max_length=80, default="", help_text="See apps.views.process: a restart aborts it (R14)")
    end_seen = models.BooleanField(default=False, help_text="The agent sent its end; until then its rows belong to this audit")
    finished_at = models.BigIntegerField(null=True)
    batches = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    directories = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    added = models.BigIntegerField(default=0)
    modified = models.BigIntegerField(default=0)
    deleted = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0, help_text="Deletions held by the brake (R21)")
    manifest = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    approved_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tree",), condition=Q(state="OPEN"), name="one_open_audit_per_tree"),)
        indexes = (models.Index(fields=("tree", "-started_at"), name="audit_by_time"),)


class Listed(models.Model):
    """One name in one directory, as far as an audit has to remember it."""

    pk = models.CompositePrimaryKey("audit_id", "directory_id", "name")
    audit = models.ForeignKey(Audit, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    directory = models.ForeignKey(
        "fustor_views.Directory", on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    name = models.TextField(blank=True)
    observed_at = models.BigIntegerField()

    class Meta:
        abstract = True


class AuditName(Listed):
    """A name that an open audit listed, kept only for directories that do not close within one batch (and for old clients).

    `name` empty: the directory's own row; then `skipped` says that the audit found it silent (R17).
    """

    skipped = models.BooleanField(default=False)


class AuditAbsence(Listed):
    """A stored name that a complete listing of its directory lacks: it goes when the audit ends COMPLETE, unless held (R21).

    `observed_at` is the start of the listing that lacks it.
    """

    is_directory = models.BooleanField(default=False)


class Recheck(models.Model):
    """A path that the rules want looked at again, not before `wanted_at`: apps.sessions turns it into a `scan` command.

    Times in server ms.
    """

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="rechecks", db_index=False)
    path = models.TextField()
    recursive = models.BooleanField(default=False)
    reason = models.CharField(max_length=200)
    wanted_at = models.BigIntegerField()
    asked_at = models.BigIntegerField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tree", "path"), name="recheck_once_per_path"),)

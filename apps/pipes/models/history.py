"""Tables of what was changed and done: revisions, drafts, the audit log, use of old paths."""

from typing import Any

from django.db import models


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


class Draft(models.Model):
    """Edits of one person that are not applied yet: the wanted document on top of the revision that was seen."""

    author = models.CharField(max_length=200, unique=True)
    base = models.PositiveBigIntegerField(help_text="Number of the revision that the edits were made on")
    document = models.JSONField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"draft of {self.author} on revision {self.base}"


class AppendOnly(models.QuerySet["AuditEntry"]):
    """Rows that can be added and read, nothing else."""

    def update(self, **kwargs: Any) -> int:
        """Always raises TypeError."""
        raise TypeError("the audit log is append-only")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Always raises TypeError."""
        raise TypeError("the audit log is append-only")


class AuditEntry(models.Model):
    """One thing that somebody did or was not allowed to do. It keeps names, not references, so it outlives users.

    Append-only, here and by triggers in the database (apps.pipes.append_only).
    """

    class Outcome(models.TextChoices):
        DONE = "done", "done"
        DENIED = "denied", "denied"
        FAILED = "failed", "failed"

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=200, db_index=True)
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    verb = models.CharField(max_length=50, db_index=True)
    target = models.CharField(max_length=300, blank=True, help_text="What it was done to, e.g. `pipes.main`")
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.DONE)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    detail = models.TextField(blank=True)

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("target", "-id"), name="audit_by_target"),)

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.target}: {self.outcome}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write it once; changing it raises TypeError."""
        if self.pk is not None:
            raise TypeError("the audit log is append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Always raises TypeError."""
        raise TypeError("the audit log is append-only")


class AuditCut(models.Model):
    """Entries of the audit log up to this one may be deleted. Never changed or deleted itself (apps.pipes.append_only)."""

    until = models.BigIntegerField(help_text="id of the last entry that may go")
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"up to {self.until} by {self.actor}"


class LegacyUse(models.Model):
    """How often an old path is still called, and by whom last: what an admin looks at before switching old paths off."""

    path = models.CharField(max_length=200)
    caller = models.CharField(max_length=200, help_text="Visible ends of the key, or the address")
    count = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("path", "caller"), name="legacy_use_once"),)

    def __str__(self) -> str:
        return f"{self.path} by {self.caller}: {self.count}"

"""The change feed and the log of refused claims. Both are bounded by retention."""

from django.db import models

from apps.views.models.view import Tree


class ChangeBatch(models.Model):
    """The changes of one batch, packed: `entries` is JSON `[[kind, path, is_directory, size, mtime, rule], …]`.

    Entry number i has sequence `last_seq - len(entries) + 1 + i`. kind: created, modified, deleted, reset …
    """

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="changes", db_index=False)
    last_seq = models.BigIntegerField()
    at = models.BigIntegerField(help_text="Server ms")
    session = models.BigIntegerField(default=0)
    source = models.CharField(max_length=20)
    count = models.IntegerField()
    entries = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tree", "last_seq"), name="change_seq_once"),)
        indexes = (models.Index(fields=("at",), name="change_by_time"),)


class Refusal(models.Model):
    """A claim that the rules refused, for `explain` (bounded per tree)."""

    tree = models.ForeignKey(Tree, on_delete=models.CASCADE, related_name="refusals", db_index=False)
    path = models.TextField()
    at = models.BigIntegerField(help_text="Server ms")
    observed_at = models.BigIntegerField()
    session = models.BigIntegerField(default=0)
    source = models.CharField(max_length=20)
    rule = models.SmallIntegerField()
    reason = models.CharField(max_length=300)

    class Meta:
        indexes = (
            models.Index(fields=("tree", "path"), name="refusal_by_path"),
            models.Index(fields=("at",), name="refusal_by_time"),
        )

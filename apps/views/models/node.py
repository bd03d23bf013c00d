"""The stored tree: directories by path with recursive totals, files by (directory, name).

A batch from one directory touches one place of the file table; the stats of any subtree are one row; renaming a directory
rewrites directory paths only. Paths and names are keys of `fustor_schema.paths`. Rows are written by set-based SQL in
`apps.views.store`, never through the ORM: the keys carry no database constraint and no cascade (a check per row costs more
than the row); `apps.views.services.drop_tree` removes a tree, and `manage.py verify_view` proves that nothing dangles.
"""

from enum import IntFlag

from django.db import models

from apps.views.models.view import Tree
from fustor_schema.sources import Kind


class NodeKind(models.IntegerChoices):
    """`fustor_schema.sources.Kind` as one byte."""

    FILE = 0, Kind.FILE.value
    DIRECTORY = 1, Kind.DIRECTORY.value
    SYMLINK = 2, Kind.SYMLINK.value
    FIFO = 3, Kind.FIFO.value
    SOCKET = 4, Kind.SOCKET.value
    DEVICE = 5, Kind.DEVICE.value


class Flag(IntFlag):
    """What is known of a node beyond its metadata; kept equal to the suspect and blind spot tables."""

    NONE = 0
    SUSPECT = 1  # integrity_suspect
    PARTIAL = 2  # suspect because a partial write was seen: only close or a confirming stat clears it (R40)
    BLIND = 4  # agent_missing
    AUDIT_SKIPPED = 8  # the last audit found the directory silent
    PLACEHOLDER = 16  # made as the parent of a row; its own row was never seen
    REALTIME = 32  # last decided by a realtime claim
    COUNTED_ADDED = 64  # its blind spot is one of those counted in the record of its directory: added …
    COUNTED_MODIFIED = 128  # … or modified (R54)


class Metadata(models.Model):
    """What lstat says, and who decided it: `rule` (number of R…), `session` (Session.number), times in server ms."""

    size = models.BigIntegerField(default=0)
    mtime = models.FloatField(null=True)
    ctime = models.FloatField(null=True)
    mode = models.IntegerField(null=True)
    uid = models.BigIntegerField(null=True)
    gid = models.BigIntegerField(null=True)
    inode = models.BigIntegerField(null=True)  # unsigned 64 bit as two's complement: n or n - 2**64
    nlink = models.BigIntegerField(null=True)
    flags = models.SmallIntegerField(default=0)
    observed_at = models.BigIntegerField(default=0)
    decided_at = models.BigIntegerField(default=0)
    session = models.BigIntegerField(default=0)
    rule = models.SmallIntegerField(default=0)

    class Meta:
        abstract = True


class Directory(Metadata):
    """One directory. Totals are recursive and exclude the directory itself (R47)."""

    tree = models.ForeignKey(Tree, on_delete=models.DO_NOTHING, related_name="directories", db_index=False, db_constraint=False)
    path = models.TextField()
    parent = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, null=True, related_name="directories", db_index=False, db_constraint=False
    )
    name = models.TextField()
    total_files = models.BigIntegerField(default=0)
    total_directories = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    newest_mtime = models.FloatField(null=True, help_text="Newest mtime of a file in the subtree")
    last_change_at = models.BigIntegerField(default=0, help_text="Last change decided in the subtree, server ms; only rises")
    listed_at = models.BigIntegerField(default=0, help_text="Start of the last complete listing, server ms (R3, R11)")
    listed_session = models.BigIntegerField(default=0)
    confirmed_at = models.BigIntegerField(default=0, help_text="A scan confirmed children at this time, server ms (R13)")
    confirmed_session = models.BigIntegerField(default=0)
    unscanned = models.CharField(max_length=100, blank=True, default="", help_text="Why the last listing failed (R12)")
    listing_digest = models.BigIntegerField(
        db_default=0, help_text="Of a whole listing that tells exactly the files that are stored; 0: none is known"
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tree", "path"), name="directory_once_per_path"),)
        indexes = (
            models.Index(fields=("parent", "name"), name="directory_children"),
            models.Index(fields=("tree", "path"), condition=~models.Q(unscanned=""), name="directory_unscanned"),
        )


class File(Metadata):
    """One node that is no directory (SQLite: WITHOUT ROWID, clustered by directory)."""

    pk = models.CompositePrimaryKey("directory_id", "name")
    directory = models.ForeignKey(Directory, on_delete=models.DO_NOTHING, related_name="files", db_index=False, db_constraint=False)
    name = models.TextField()
    kind = models.SmallIntegerField(choices=NodeKind, default=NodeKind.FILE)

    class Meta:
        # only names of files that have several: what `usage` counts once
        indexes = (models.Index(fields=("inode",), condition=models.Q(nlink__gt=1), name="file_links"),)


class OwnerTotal(models.Model):
    """Recursive files and bytes of one owner below one directory, for rows that carry `uid` (R47)."""

    pk = models.CompositePrimaryKey("directory_id", "uid")
    directory = models.ForeignKey(
        Directory, on_delete=models.DO_NOTHING, related_name="owner_totals", db_index=False, db_constraint=False
    )
    uid = models.BigIntegerField()
    files = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)

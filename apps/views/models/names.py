"""The deferred name index: which names of which directory are in it, and how far it follows the change feed.

Written by apps.views.names beside the ingestion, never in it. On SQLite the trigrams themselves lie in one FTS5 table per tree
(apps.views.store.trigrams); on PostgreSQL the names lie here under a trigram index.
"""

from django.db import models

from apps.views.models.view import Tree


class NameIndex(models.Model):
    """How far the index of one tree is. Names that entered the tree after `followed_seq` are found by reading the feed."""

    tree = models.OneToOneField(Tree, on_delete=models.CASCADE, related_name="name_index", primary_key=True)
    complete = models.BooleanField(default=False, help_text="False while the first pass over the tree is under way")
    passed_path = models.TextField(blank=True, default="", help_text="The first pass has indexed the directories up to this one")
    followed_seq = models.BigIntegerField(default=0, help_text="The feed up to here is in the index")
    built_seq = models.BigIntegerField(default=0, help_text="Where the feed stood when the first pass ended")
    names = models.BigIntegerField(default=0, help_text="Names in the index, those included that left the tree since")


class NameChunk(models.Model):
    """Some names of one directory, between `first` and `last`: what the index finds. A name may be in several chunks.

    `names`: the names with `/` between them (PostgreSQL; empty on SQLite).
    """

    tree = models.ForeignKey(Tree, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False)
    directory = models.ForeignKey(
        "fustor_views.Directory", on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    first = models.TextField()
    last = models.TextField()
    names = models.TextField(blank=True, default="")

    class Meta:
        indexes = (models.Index(fields=("tree",), name="name_chunk_tree"),)

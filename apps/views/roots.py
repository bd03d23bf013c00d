"""Is what a session scans still the storage that the tree was built from (R20)? Called by apply, audits and sentinel.

Without this an unmounted disk is a tree whose files are all gone, proven by complete listings.
"""

from apps.views.claims import Origin
from apps.views.models import Directory, Tree
from fustor_schema import paths

OTHER_STORAGE = "another file system is mounted at the source root"


def meet(tree: Tree, root_id: str | None) -> None:
    """Note the identity that a scan of the source root names: the first one is the tree's, another one means the source is lost.
    A tree that holds nothing takes any: an agent may have been started before its disk was mounted."""
    if not root_id:
        return
    if root_id != tree.root_id and (not tree.root_id or _holds_nothing(tree)):
        tree.root_id = root_id
    tree.source_lost = "" if tree.root_id == root_id else OTHER_STORAGE
    tree.save(update_fields=("root_id", "source_lost"))


def is_foreign(tree: Tree, origin: Origin) -> bool:
    """Whether the session looks at another storage than the tree's: nothing that it does not find there is gone."""
    return bool(origin.root_id and tree.root_id and origin.root_id != tree.root_id)


def _holds_nothing(tree: Tree) -> bool:
    return Directory.objects.filter(tree=tree, path=paths.ROOT, total_files=0, total_directories=0).exists()

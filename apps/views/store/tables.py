"""Names of the tables of the stored tree, and their columns with PostgreSQL types, in the order in which rows travel."""

DIRECTORY = "fustor_views_directory"
FILE = "fustor_views_file"
OWNER_TOTAL = "fustor_views_ownertotal"
VIEW = "fustor_views_view"
TREE = "fustor_views_tree"
TOMBSTONE = "fustor_views_tombstone"
SUSPECT = "fustor_views_suspect"
BLIND_SPOT = "fustor_views_blindspot"
REFUSAL = "fustor_views_refusal"
GAP = "fustor_views_gap"
RECHECK = "fustor_views_recheck"
CHANGE_BATCH = "fustor_views_changebatch"
AUDIT_NAME = "fustor_views_auditname"
AUDIT_ABSENCE = "fustor_views_auditabsence"

_METADATA = {
    "size": "bigint",
    "mtime": "float8",
    "ctime": "float8",
    "mode": "integer",
    "uid": "bigint",
    "gid": "bigint",
    "inode": "bigint",
    "nlink": "bigint",
    "flags": "smallint",
    "observed_at": "bigint",
    "decided_at": "bigint",
    "session": "bigint",
    "rule": "smallint",
}
FILE_COLUMNS = {"directory_id": "bigint", "name": "text", "kind": "smallint", **_METADATA}
DIRECTORY_STATE = {
    **_METADATA,
    "total_files": "bigint",
    "total_directories": "bigint",
    "total_bytes": "bigint",
    "newest_mtime": "float8",
    "last_change_at": "bigint",
    "listed_at": "bigint",
    "listed_session": "bigint",
    "confirmed_at": "bigint",
    "confirmed_session": "bigint",
    "unscanned": "text",
    "listing_digest": "bigint",
}
DIRECTORY_COLUMNS = {"id": "bigint", "tree_id": "bigint", "path": "text", "parent_id": "bigint", "name": "text", **DIRECTORY_STATE}
TOMBSTONE_COLUMNS = {
    "tree_id": "bigint",
    "path": "text",
    "subtree": "boolean",
    "observed_at": "bigint",
    "error_ms": "integer",
    "created_at": "bigint",
    "session": "bigint",
    "source": "text",
    "rule": "smallint",
}

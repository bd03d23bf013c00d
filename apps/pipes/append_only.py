"""The audit log refuses changes in the database itself, whoever asks: triggers for both databases. Laid by a migration.

An entry can be deleted only when a cut (AuditCut) covers it; cuts themselves stay, so whatever goes leaves a record. A later
migration that rebuilds one of the two tables on SQLite must call `install` again; a test watches over it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

ENTRIES, CUTS = "fustor_pipes_auditentry", "fustor_pipes_auditcut"
WORDS = "the audit log is append-only"
_COVERED = f"(SELECT COALESCE(MAX(until), 0) FROM {CUTS})"  # noqa: S608 - of constants only


def _sqlite() -> dict[str, str]:
    """Name of a trigger → when it refuses. INSERT OR REPLACE deletes without asking a trigger for deletes."""
    when = {f"audit_no_delete_{ENTRIES}": f"BEFORE DELETE ON {ENTRIES} WHEN OLD.id > {_COVERED}"}
    when[f"audit_no_delete_{CUTS}"] = f"BEFORE DELETE ON {CUTS}"
    for table in (ENTRIES, CUTS):
        when[f"audit_no_update_{table}"] = f"BEFORE UPDATE ON {table}"
        same = f"SELECT 1 FROM {table} WHERE id = NEW.id"  # noqa: S608 - of constants only
        when[f"audit_no_replace_{table}"] = f"BEFORE INSERT ON {table} WHEN EXISTS ({same})"
    return when


_SQLITE = tuple(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{WORDS}'); END" for name, when in _sqlite().items())
_SQLITE_AWAY = tuple(f"DROP TRIGGER IF EXISTS {name}" for name in _sqlite())
_POSTGRES = (
    f"""CREATE FUNCTION fustor_audit_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = '{ENTRIES}' THEN
        IF OLD.id <= {_COVERED} THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION '{WORDS}';
END $$""",
    *(
        statement
        for table in (ENTRIES, CUTS)
        for statement in (
            f"CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION fustor_audit_kept()",
            f"CREATE TRIGGER audit_kept_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION fustor_audit_kept()",
        )
    ),
)
_POSTGRES_AWAY = (
    *(f"DROP TRIGGER IF EXISTS {name} ON {table}" for table in (ENTRIES, CUTS) for name in ("audit_kept", "audit_kept_whole")),
    "DROP FUNCTION IF EXISTS fustor_audit_kept()",
)


def install(connection: BaseDatabaseWrapper) -> None:
    """Lay the triggers, in place of older ones."""
    remove(connection)
    _run(connection, _POSTGRES if connection.vendor == "postgresql" else _SQLITE)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away: to undo the migration, and when tests empty their own database."""
    _run(connection, _POSTGRES_AWAY if connection.vendor == "postgresql" else _SQLITE_AWAY)


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Without the triggers for a moment. For tests, which empty their database between two of them."""
    remove(connection)
    try:
        yield
    finally:
        install(connection)


def _run(connection: BaseDatabaseWrapper, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)

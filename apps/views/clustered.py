"""Migration operations for tables that are one index: used by the migrations of this app only.

On SQLite such a table is WITHOUT ROWID: a row lives in its primary key, so a directory's files lie together and nothing is stored
twice. Django cannot say that, and its table rebuild (AlterField on SQLite) would lose it: later migrations of these tables
must go through `CreateClusteredModel` and copy.
"""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class CreateClusteredModel(migrations.CreateModel):
    """CreateModel whose SQLite table is WITHOUT ROWID."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Create the table."""
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        editor: Any = schema_editor  # table_sql and _model_indexes_sql are what its own create_model calls; no stubs for them
        model = to_state.apps.get_model(app_label, self.name)
        sql, params = editor.table_sql(model)
        editor.execute(f"{sql} WITHOUT ROWID", params or None)
        editor.deferred_sql.extend(editor._model_indexes_sql(model))  # no public way to these


def compare_bytes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Paths and names sort by bytes on PostgreSQL too (SQLite does): prefix ranges and stable cursors need it."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, columns in _BYTE_ORDERED.items():
        for column in columns:
            schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "C"')


_BYTE_ORDERED = {
    "fustor_views_directory": ("path", "name"),
    "fustor_views_file": ("name",),
    "fustor_views_tombstone": ("path",),
    "fustor_views_suspect": ("path",),
    "fustor_views_blindspot": ("path",),
    "fustor_views_gap": ("path",),
    "fustor_views_auditname": ("name",),
    "fustor_views_auditabsence": ("name",),
    "fustor_views_recheck": ("path",),
    "fustor_views_refusal": ("path",),
}

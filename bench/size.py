"""What a node costs on disk: `python bench/size.py [rows]` fills a fresh SQLite database and prints bytes per node and table."""

import sys

from django.core.management import call_command
from django.db import connection
from ingest import chunks, deliver, scan_batch, tree_rows  # sets Django up

from apps.views import services
from apps.views.models import View


def main() -> None:
    """Fill and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    call_command("migrate", verbosity=0)
    tree = services.ensure_tree(View.objects.create(slug="size"))
    for rows in chunks(tree_rows(count)):
        deliver(tree, scan_batch(rows, "snapshot"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sum(pgsize) FROM dbstat WHERE name LIKE '%views_file%' OR name LIKE '%directory%' GROUP BY name"
        )
        sizes = dict(cursor.fetchall())
    for name, size in sorted(sizes.items()):
        print(f"{name:<48}{size / count:>8.1f} bytes per node")
    print(f"{'all':<48}{sum(sizes.values()) / count:>8.1f} bytes per node")


if __name__ == "__main__":
    main()

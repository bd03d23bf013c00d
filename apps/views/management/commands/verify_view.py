"""`manage.py verify_view [VIEW…] [--repair]`: proves that what is derived equals what is stored; ends with 1 when it does not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.views import verify
from apps.views.models import Tree, View
from fustor_schema import paths


class Command(BaseCommand):
    """See the module."""

    help = "Prove that totals, flags and counts of views equal what is recomputed from their nodes; repair them on request."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which views, and whether to repair."""
        parser.add_argument("views", nargs="*", help="ids of views; all when none is given")
        parser.add_argument("--repair", action="store_true", help="put right what is wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify tree by tree."""
        total = 0
        for tree in self._trees(options["views"]):
            faults = verify.verify(tree.pk, repair=options["repair"])
            name = f"{tree.view.slug}:{tree.scope}" if tree.scope else tree.view.slug
            for fault in faults:
                self.stdout.write(f"{name} {paths.display(fault.path)}: {fault.what}")
            self.stdout.write(f"{name}: {len(faults) or 'no'} faults{' repaired' if faults and options['repair'] else ''}")
            total += len(faults)
        if total and not options["repair"]:
            raise CommandError(f"{total} faults; run again with --repair to put them right")

    @staticmethod
    def _trees(slugs: list[str]) -> list[Tree]:
        unknown = set(slugs) - set(View.objects.filter(slug__in=slugs).values_list("slug", flat=True))
        if unknown:
            raise CommandError(f"there is no view {', '.join(sorted(unknown))}")
        found = Tree.objects.select_related("view").order_by("view__slug", "scope")
        return list(found.filter(view__slug__in=slugs) if slugs else found)

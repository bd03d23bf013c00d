"""`manage.py create_key --kind …`: make a key and print it once. With `--plain` the key stands alone on the last line."""

from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models.query import QuerySet

from apps.pipes import keys, services
from apps.pipes.audit import Actor
from apps.pipes.models import KeyKind, Pipe
from apps.runtime.problems import Problem
from apps.views.models import View

KINDS = (KeyKind.RECEIVER, KeyKind.QUERY, KeyKind.MANAGEMENT)
M = TypeVar("M", Pipe, View)


class Command(BaseCommand):
    """Make an API key."""

    help = "Make an API key: receiver (ingest into pipes), query (read views) or management (scopes)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Kind and scope."""
        parser.add_argument("--kind", required=True, choices=[kind.value for kind in KINDS])
        parser.add_argument("--pipe", action="append", default=[], help="receiver key: a pipe it may ingest into (repeatable)")
        parser.add_argument("--view", action="append", default=[], help="query key: a view it may read (repeatable)")
        parser.add_argument("--all-views", action="store_true", help="query key: every view, later ones too")
        parser.add_argument("--scope", action="append", default=[], help="management key: role or verb (default: admin)")
        parser.add_argument("--name", default="", help="what the key is for")
        parser.add_argument("--plain", action="store_true", help="print nothing but the key")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the key and print it."""
        kind = KeyKind(options["kind"])
        try:
            key, secret = services.issue_key(Actor("command create_key"), kind, options["name"], **_scope(kind, options))
        except Problem as problem:
            raise CommandError(f"{problem.detail} {problem.fix or ''}".rstrip()) from problem
        if not options["plain"]:
            self.stdout.write(f"Made the {kind} key {key}. It is shown only now. Send it as: X-API-Key: <key>")
        self.stdout.write(secret)


def _scope(kind: KeyKind, options: dict[str, Any]) -> keys.ScopeFields:
    if kind == KeyKind.RECEIVER:
        pipes = _named(Pipe.objects.select_related("receiver"), options["pipe"], "pipe") or _only_receivers_pipes()
        return {"receiver": pipes[0].receiver, "pipes": pipes}
    if kind == KeyKind.QUERY:
        return {"views": _named(View.objects.all(), options["view"], "view"), "all_views": options["all_views"]}
    return {"scopes": options["scope"] or ["admin"], "views": _named(View.objects.all(), options["view"], "view")}


def _only_receivers_pipes() -> list[Pipe]:
    """Without `--pipe`: every pipe, when they all belong to one receiver."""
    pipes = list(Pipe.objects.select_related("receiver"))
    if not pipes:
        raise CommandError("There is no pipe yet. Import a configuration first: manage.py import_config FILE")
    if len({pipe.receiver_id for pipe in pipes}) > 1:
        raise CommandError(f"Say which pipes, with --pipe: {', '.join(pipe.slug for pipe in pipes)}.")
    return pipes


def _named(rows: QuerySet[M], slugs: list[str], word: str) -> list[M]:
    found = {row.slug: row for row in rows.filter(slug__in=slugs)}
    if missing := [slug for slug in slugs if slug not in found]:
        known = ", ".join(rows.values_list("slug", flat=True)) or "none"
        raise CommandError(f"There is no {word} {missing[0]!r}. Known: {known}.")
    return [found[slug] for slug in slugs]

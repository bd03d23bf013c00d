"""Pages that list receivers and keys. Secrets are never shown: only a hash of each is kept."""

from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.pipes.models import ApiKey, KeyKind, Pipe, Receiver
from apps.pipes.permissions import Verb, is_restricted, visible_views
from apps.runtime import clock
from apps.runtime.console import page

PAGE_SIZE = 50
STATES = ("usable", "expired", "revoked")


@page()
def receivers(request: HttpRequest) -> HttpResponse:
    """`/receivers/`; to a restricted viewer, those of the pipes that feed a view in sight, and the keys of these pipes."""
    found, pipes, usable = Receiver.objects.all(), Pipe.objects.all(), Q(keys__revoked_at=None)
    if is_restricted(request.user):
        pipes = pipes.filter(pk__in=Pipe.objects.filter(views__in=visible_views(request.user)).values("pk"))
        found = found.filter(pk__in=pipes.values("receiver"))
        usable &= Q(keys__pipes__in=pipes)
    found = found.prefetch_related(Prefetch("pipes", pipes)).annotate(usable_keys=Count("keys", filter=usable, distinct=True))
    return render(request, "configured/receivers.html", {"receivers": found.order_by("slug")})


@page(Verb.SURVEY)
def keys(request: HttpRequest) -> HttpResponse:
    """`/keys/`: by kind and by whether they still work."""
    kind, state = request.GET.get("kind", ""), request.GET.get("state", "usable")
    found = ApiKey.objects.select_related("receiver", "agent").prefetch_related("pipes", "views")
    if kind in KeyKind.values:
        found = found.filter(kind=kind)
    chunk = Paginator(in_state(found, state), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "chunk": chunk,
        "kind": kind,
        "kinds": [(value, label.partition(":")[0]) for value, label in KeyKind.choices],
        "state": state,
        "states": [(name, in_state(found, name).count()) for name in STATES],
    }
    return render(request, "configured/keys.html", context)


def in_state(found: QuerySet[ApiKey], state: str) -> QuerySet[ApiKey]:
    """The keys that are usable now, expired, or revoked; all for any other word."""
    expired = Q(expires_at__lte=clock.now_datetime())
    if state == "usable":
        return found.filter(revoked_at=None).exclude(expired)
    if state == "expired":
        return found.filter(expired, revoked_at=None)
    return found.exclude(revoked_at=None) if state == "revoked" else found

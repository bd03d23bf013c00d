"""The audit log: who did what to what, and what was refused. Filtered by the URL, taken away as CSV or JSON lines."""

from urllib.parse import urlencode

from django import forms
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from apps.pipes import audit, audit_export
from apps.pipes.audit_export import Filter, as_csv, as_json_lines, changes_of, entries
from apps.pipes.models import AuditEntry
from apps.pipes.pages.people import actor_of
from apps.pipes.permissions import Verb
from apps.runtime.console import page

PAGE_SIZE = 50
FORMATS = {"csv": ("text/csv; charset=utf-8", as_csv), "jsonl": ("application/x-ndjson", as_json_lines)}


class FilterForm(forms.Form):
    """The filter in the URL. What is not understood there is left out."""

    q = forms.CharField(label=gettext_lazy("Who, what or target"), required=False, max_length=200)
    outcome = forms.ChoiceField(choices=[("", ""), *AuditEntry.Outcome.choices], required=False)
    since = forms.DateField(label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def wanted(self) -> Filter:
        """The filter."""
        self.is_valid()
        given = self.cleaned_data
        return Filter(
            words=given.get("q", "").strip(),
            outcome=given.get("outcome", ""),
            since=given.get("since"),
            until=given.get("until"),
        )

    def query(self) -> str:
        """The filter as the query string of the export."""
        kept = {name: str(value) for name, value in self.cleaned_data.items() if value}
        return urlencode(kept)


@page(Verb.AUDIT)
def audit_log(request: HttpRequest) -> HttpResponse:
    """`/audit/`."""
    form = FilterForm(request.GET)
    wanted = form.wanted()
    chunk = Paginator(entries(wanted), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "chunk": chunk,
        "rows": [(entry, changes_of(entry)) for entry in chunk],
        "form": form,
        "wanted": wanted,
        "outcomes": AuditEntry.Outcome.choices,
        "export": form.query(),
    }
    return render(request, "configured/audit.html", context)


@page(Verb.AUDIT, confirm=True)
def export(request: HttpRequest) -> HttpResponse:
    """`/audit/export/?format=csv|jsonl`: what the filter shows, newest first, at most 50,000 entries."""
    chosen = request.GET.get("format", "csv")
    if chosen not in FORMATS:
        raise Http404
    kind, write = FORMATS[chosen]
    audit.record(actor_of(request), "audit.export", "audit", after={"format": chosen})
    found = entries(FilterForm(request.GET).wanted())[: audit_export.MOST_EXPORTED]
    response = HttpResponse("".join(write(found.iterator(chunk_size=2000))), content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="audit.{chosen}"'
    response.headers["Cache-Control"] = "no-store"
    return response

"""Pages of one's own account."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from apps.runtime.console import OWN, page


@page(OWN, confirm=True)
def confirm(request: HttpRequest) -> HttpResponse:
    """`/confirm/?next=…`: asks for the proof, then goes on to a page of this server."""
    wanted = request.GET.get("next", "/")
    return redirect(wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else "/")

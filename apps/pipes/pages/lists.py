"""Pages that list what is configured: receivers, sources, senders, agent pipes, keys.

Secrets are never shown: only a hash of each is kept. The orders of these lists are in apps.pipes.pages.bulk.
"""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.pipes.pages import bulk, tables
from apps.pipes.permissions import Verb
from apps.runtime.bulk import offered
from apps.runtime.console import page
from apps.runtime.listing import ListSpec, listing


@page()
def receivers(request: HttpRequest) -> HttpResponse:
    """`/receivers/`."""
    return _list(request, "receivers", tables.receiver_rows(request), tables.RECEIVERS)


@page(Verb.SURVEY)
def sources(request: HttpRequest) -> HttpResponse:
    """`/sources/`."""
    return _list(request, "sources", tables.source_rows(request), tables.SOURCES)


@page(Verb.SURVEY)
def senders(request: HttpRequest) -> HttpResponse:
    """`/senders/`."""
    return _list(request, "senders", tables.sender_rows(request), tables.SENDERS)


@page(Verb.SURVEY)
def agent_pipes(request: HttpRequest) -> HttpResponse:
    """`/agent-pipes/`."""
    return _list(request, "agent_pipes", tables.agent_pipe_rows(request), tables.AGENT_PIPES)


@page(Verb.SURVEY)
def keys(request: HttpRequest) -> HttpResponse:
    """`/keys/`: the usable ones at first."""
    return _list(request, "keys", tables.key_rows(request), tables.keys_spec())


def _list(request: HttpRequest, name: str, rows: QuerySet[Any], spec: ListSpec) -> HttpResponse:
    found = listing(rows, request.GET, spec)
    orders = offered(request, bulk.ORDERS[name])
    context = {"list": found, "orders": orders, "bulk_url": reverse(f"bulk_{name}")}
    return render(request, f"configured/{name}.html", context)

"""The whole configuration: read, export, plan an import, import."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.pipes import drivers
from apps.pipes.api.guard import allow, author
from apps.pipes.api.schemas import ImportIn, PlanOut, plan_out, terms_of
from apps.pipes.config import service
from apps.pipes.config.document import to_plain
from apps.pipes.config.export import export_text
from apps.pipes.config.reading import Reading, Text, read
from apps.pipes.config.render import render
from apps.pipes.keys import ref_of
from apps.pipes.permissions import Verb

router = Router()


@router.get("/configuration", summary="The present configuration and its revision")
def get_configuration(request: HttpRequest) -> dict[str, Any]:
    """Document without secrets; `revision` is what to send as `expected` with a change."""
    allow(request, Verb.READ, "configuration")
    return {"revision": service.latest_number(), "document": to_plain(render())}


@router.get("/configuration/export", summary="The present configuration as YAML")
def export_configuration(request: HttpRequest) -> HttpResponse:
    """The same text as `manage.py export_config`."""
    allow(request, Verb.READ, "configuration")
    response = HttpResponse(export_text(), content_type="application/yaml; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="fustor.yaml"'
    return response


@router.post("/configuration/plan", response=PlanOut, summary="What importing these files would do")
def plan_import(request: HttpRequest, body: ImportIn) -> PlanOut:
    """Dry run: nothing is changed. 422 lists every fault in `faults`."""
    allow(request, Verb.CONFIGURE, "configuration")
    reading = _read(body)
    plan = service.preview(service.Wanted(reading.document, reading.secrets, replace=body.replace))
    return plan_out(plan, notices=[str(notice) for notice in reading.notices])


@router.post("/configuration/import", response=PlanOut, summary="Import files as one revision")
def import_configuration(request: HttpRequest, body: ImportIn) -> PlanOut:
    """All or nothing, the same as `manage.py import_config`."""
    who = author(request, Verb.CONFIGURE, "configuration", body.message)
    reading = _read(body)
    wanted = service.Wanted(reading.document, reading.secrets, replace=body.replace)
    plan, revision = service.change(wanted, who, expected=body.expected, terms=terms_of(body.rollout))
    return plan_out(plan, revision, [str(notice) for notice in reading.notices])


@router.get("/drivers", summary="Drivers with the schema of their settings")
def list_drivers(request: HttpRequest) -> dict[str, Any]:
    """JSON Schema per driver: what forms are made from."""
    allow(request, Verb.READ, "drivers")
    return {
        kind: {
            name: {"label": driver.label, "settings": msgspec.json.schema(driver.settings)}
            for name, driver in drivers.drivers_of(kind).items()
        }
        for kind in ("receivers", "views", "sources", "senders")
    }


def _read(body: ImportIn) -> Reading:
    # variables of the server's environment are not for whoever can post a text
    texts = [Text(file.name, file.content) for file in body.files]
    return read(texts, variables={}, known_ref=ref_of, agent_id=body.agent_id)

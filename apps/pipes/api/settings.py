"""The settings of the whole server."""

from typing import Any

import msgspec
from django.http import HttpRequest
from ninja import Router

from apps.pipes import services
from apps.pipes.api.guard import allow, author
from apps.pipes.api.schemas import Change, PlanOut, plan_out
from apps.pipes.config import service
from apps.pipes.config.document import to_plain
from apps.pipes.permissions import Verb
from apps.runtime import server_settings
from apps.runtime.server_settings import OTHERWISE, ServerSettings

router = Router()


class SettingsIn(Change):
    """The settings; those left out, or null, are as the environment says."""

    settings: dict[str, Any]


@router.get("/settings", summary="Settings of the server")
def get_settings(request: HttpRequest) -> dict[str, Any]:
    """`settings`: what is set; `otherwise`: what counts where nothing is; `schema`: what each may be."""
    allow(request, Verb.READ, "settings")
    return {
        "revision": service.latest_number(),
        "settings": to_plain(server_settings.stored()),
        "otherwise": {name: value() for name, value in OTHERWISE.items()},
        "schema": msgspec.json.schema(ServerSettings),
    }


@router.put("/settings", response=PlanOut, summary="Change settings of the server")
def put_settings(request: HttpRequest, body: SettingsIn) -> PlanOut:
    """As one revision; in force at once in every process."""
    who = author(request, Verb.CONFIGURE, "settings", body.message or "Change settings")
    return plan_out(*services.put_settings(body.settings, who, expected=body.expected))

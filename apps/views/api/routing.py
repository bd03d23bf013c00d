"""The one router of `/api/v1/views`; the modules beside hang their routes on it."""

from ninja import Router

router = Router(tags=["views"])

"""ASGI entry: HTTP of programs and of people to Django, websockets to the consumers of apps.sessions."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fustor_site.settings")

from django.core.asgi import get_asgi_application

pages = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402 - models exist only after Django is set up
from django.conf import settings  # noqa: E402 - models exist only after Django is set up, and so does all that needs them

from apps.sessions.routing import websockets  # noqa: E402
from fustor_site import checkpoints  # noqa: E402
from fustor_site.program_path import ProgramHandler, by_path  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": by_path(programs=ProgramHandler(), people=pages),
        "websocket": websockets(),
    }
)

if settings.IS_SQLITE:
    checkpoints.start(settings.DATABASES["default"]["NAME"])

# What is loaded by now lives for ever, and a batch makes tens of thousands of short-lived rows: the collector's defaults would
# look through all of it some fifty times a batch (measured: 15 % of the time of ingestion).
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)

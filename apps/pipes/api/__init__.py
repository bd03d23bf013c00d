"""`/api/v1/manage`: everything that the console does to the configuration, for programs. One module per subject."""

from ninja import Router

from apps.pipes.api import agents, audit_log, configuration, keys, objects, people, revisions
from apps.pipes.auth import manage_auth

router = Router(auth=manage_auth, tags=["manage"])
for module in (configuration, revisions, objects, keys, agents, people, audit_log):
    router.add_router("", module.router)

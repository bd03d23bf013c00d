"""`/api/v1/manage`: everything that the console does to the configuration, for programs. One module per subject.

fustor_site.routers mounts `router` with its authentication.
"""

from ninja import Router

from apps.pipes.api import agents, audit_log, configuration, drafts, keys, objects, people, revisions, rollouts, settings

router = Router(tags=["manage"])
for module in (configuration, settings, revisions, drafts, rollouts, objects, keys, agents, people, audit_log):
    router.add_router("", module.router)

"""Console URLs of what is configured. Included at the root by fustor_site.urls."""

from django.urls import path

from apps.pipes.pages import account, configuration, drafts, enrol, keys, lists, rollouts

urlpatterns = [
    path("confirm/", account.confirm, name="confirm"),
    path("receivers/", lists.receivers, name="receivers"),
    path("keys/", lists.keys, name="keys"),
    path("audit/", lists.audit_log, name="audit_log"),
    path("keys/new/", keys.create, name="create_key"),
    path("keys/<str:ref>/rotate/", keys.rotate, name="rotate_key"),
    path("keys/<str:ref>/revoke/", keys.revoke, name="revoke_key"),
    path("agents/enrol/", enrol.enrol, name="enrol"),
    path("agents/pending/", enrol.pending, name="pending"),
    path("agents/pending/<uuid:enrolment_id>/", enrol.decide, name="decide_enrolment"),
    path("agents/tokens/<int:token_id>/revoke/", enrol.revoke_token, name="revoke_token"),
    path("configuration/", configuration.edit, name="configuration"),
    path("configuration/export/", configuration.export, name="export_configuration"),
    path("changes/", configuration.revisions, name="changes"),
    path("changes/draft/", drafts.mine, name="draft"),
    path("changes/draft/take-back/", drafts.take_back, name="take_back_edit"),
    path("changes/drafts/<str:owner>/", drafts.another, name="draft_of"),
    path("changes/drafts/<str:owner>/export/", drafts.export, name="export_draft"),
    path("changes/drafts/<str:owner>/apply/", drafts.apply, name="apply_draft"),
    path("changes/drafts/<str:owner>/discard/", drafts.discard, name="discard_draft"),
    path("changes/drafts/<str:owner>/rebase/", drafts.rebase, name="rebase_draft"),
    path("changes/<int:number>/draft/", drafts.from_revision, name="draft_from_revision"),
    path("changes/<int:number>/rollout/back/", rollouts.roll_back, name="roll_back"),
    path("changes/<int:number>/rollout/<str:name>/", rollouts.order, name="order_rollout"),
    path("changes/<int:number>/", configuration.revision, name="revision"),
    path("changes/<int:number>/restore/", configuration.restore, name="restore_revision"),
]

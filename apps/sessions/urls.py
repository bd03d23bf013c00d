"""Console URLs of what is happening. Included at the root by fustor_site.urls."""

from django.urls import path

from apps.sessions.pages import actions, agents, boards, bulk, lists, reset, setup, trials

urlpatterns = [
    path("", boards.overview, name="overview"),
    path("setup/", setup.setup, name="setup"),
    path("setup/host/", setup.host, name="setup_host"),
    path("setup/decide/", setup.decide, name="setup_decide"),
    path("setup/skip/", setup.skip, name="skip_setup"),
    path("pipes/", lists.pipes, name="pipes"),
    path("orders/pipes/", bulk.of_pipes, name="bulk_pipes"),
    path("orders/views/", bulk.of_views, name="bulk_views"),
    path("orders/sessions/", bulk.of_sessions, name="bulk_sessions"),
    path("orders/agents/", bulk.of_agents, name="bulk_agents"),
    path("orders/jobs/", bulk.of_jobs, name="bulk_jobs"),
    path("pipes/<ident:slug>/", boards.pipe, name="pipe"),
    path("views/", lists.views, name="views"),
    path("views/<ident:slug>/", boards.view, name="view"),
    path("sessions/", lists.sessions, name="sessions"),
    path("sessions/<int:number>/", boards.session, name="session"),
    path("agents/", agents.agents, name="agents"),
    path("agents/<ident:slug>/", boards.agent, name="agent"),
    path("agents/<ident:slug>/reload/", actions.reload_agent, name="reload_agent"),
    path("agents/<ident:slug>/upgrade/", actions.upgrade_agent, name="upgrade_agent"),
    path("agents/<ident:slug>/check/", trials.of_agent, name="check_agent"),
    path("trials/<uuid:command_id>/", trials.follow, name="trial"),
    path("trials/<str:kind>/", trials.start, name="try_object"),
    path("jobs/", lists.jobs, name="jobs"),
    path("jobs/<uuid:job_id>/", boards.job, name="job"),
    path("changes/<int:number>/rollout/", boards.rollout, name="rollout"),
    path("pipes/<ident:slug>/run/", actions.run_phase, name="run_phase"),
    path("pipes/<ident:slug>/pause/", actions.pause, name="pause_pipe"),
    path("views/<ident:slug>/reset/", reset.reset, name="reset_view"),
    path("views/<ident:slug>/scan/", actions.scan, name="scan"),
    path("views/<ident:slug>/blind-spots/close/", actions.close_blind_spots, name="close_blind_spots"),
    path("views/<ident:slug>/audits/<int:audit_id>/approve/", actions.approve_audit, name="approve_audit"),
    path("sessions/<int:number>/lead/", actions.hand_over, name="hand_over"),
    path("sessions/<int:number>/end/", actions.end_session, name="end_session"),
    path("jobs/<uuid:job_id>/cancel/", actions.cancel_job, name="cancel_job"),
    path("jobs/<uuid:job_id>/retry/", actions.retry_job, name="retry_job"),
]

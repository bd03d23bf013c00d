"""Console URLs of what is happening. Included at the root by fustor_site.urls."""

from django.urls import path

from apps.sessions.pages import agents, boards, lists

urlpatterns = [
    path("", boards.overview, name="overview"),
    path("pipes/", lists.pipes, name="pipes"),
    path("pipes/<slug:slug>/", boards.pipe, name="pipe"),
    path("views/", lists.views, name="views"),
    path("views/<slug:slug>/", boards.view, name="view"),
    path("sessions/", lists.sessions, name="sessions"),
    path("sessions/<int:number>/", boards.session, name="session"),
    path("agents/", agents.agents, name="agents"),
    path("jobs/", lists.jobs, name="jobs"),
    path("jobs/<uuid:job_id>/", boards.job, name="job"),
]

"""All URLs: the API, health, the console."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path

from fustor_site.api import api
from fustor_site.health import healthz, readyz
from fustor_site.metrics import metrics
from fustor_site.pages import Login, SetPassword, second
from fustor_site.system import system

handler404 = "fustor_site.errors.not_found"
handler500 = "fustor_site.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/v1/", api.urls),
    path("login/", Login.as_view(), name="login"),
    path("login/second/", second, name="second_step"),
    path("invitation/<uidb64>/<token>/", SetPassword.as_view(), name="set_password"),
    path("system/", system, name="system"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("", include("apps.views.urls")),
    path("", include("apps.pipes.urls")),
    path("", include("apps.sessions.urls")),
]

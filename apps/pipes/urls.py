"""Console URLs of what is configured. Included at the root by fustor_site.urls."""

from django.urls import path

from apps.pipes.pages import lists

urlpatterns = [
    path("receivers/", lists.receivers, name="receivers"),
    path("keys/", lists.keys, name="keys"),
]

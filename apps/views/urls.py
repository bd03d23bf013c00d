"""Console URLs of what is known. Included at the root by fustor_site.urls."""

from django.urls import path

from apps.views.pages import explorer

urlpatterns = [
    path("views/<slug:slug>/tree/", explorer.tree, name="tree"),
    path("views/<slug:slug>/tree/branch/", explorer.branch, name="branch"),
]

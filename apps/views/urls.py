"""Console URLs of what is known. Included at the root by fustor_site.urls."""

from django.urls import path

from apps.views.pages import consistency, explorer, inspect, locate_export, search, series

urlpatterns = [
    path("series/changes/", series.changes, name="changes_series"),
    path("locate/", search.everywhere, name="locate"),
    path("locate/export/", locate_export.export, name="export_places"),
    path("views/<ident:slug>/tree/", explorer.tree, name="tree"),
    path("views/<ident:slug>/tree/branch/", explorer.branch, name="branch"),
    path("views/<ident:slug>/search/", search.in_view, name="search"),
    path("views/<ident:slug>/inspect/", inspect.inspect, name="inspect"),
    path("views/<ident:slug>/consistency/", consistency.consistency, name="consistency"),
]

"""Django application `fustor_views`."""

from django.apps import AppConfig


class ViewsConfig(AppConfig):
    """What is known: views, their stored trees, and the arbitration that decides them."""

    name = "apps.views"
    label = "fustor_views"
    default_auto_field = "django.db.models.BigAutoField"

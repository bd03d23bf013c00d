"""Django application `fustor_runtime`."""

from django.apps import AppConfig


class RuntimeConfig(AppConfig):
    """Time base and other ground that every app stands on."""

    name = "apps.runtime"
    label = "fustor_runtime"
    default_auto_field = "django.db.models.BigAutoField"

"""Django application `fustor_runtime`."""

from django.apps import AppConfig
from django.urls import register_converter

from apps.runtime.idents import IdentConverter


class RuntimeConfig(AppConfig):
    """Time base and other ground that every app stands on."""

    name = "apps.runtime"
    label = "fustor_runtime"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make `<ident:…>` known to URLs."""
        register_converter(IdentConverter, "ident")

"""Django application `fustor_site`: management commands and system checks."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Wiring: commands, checks, templates of the frame."""

    name = "fustor_site"

    def ready(self) -> None:
        """Register the system checks."""
        from fustor_site import checks  # noqa: F401 - importing registers them

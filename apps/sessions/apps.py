"""Django application `fustor_sessions`."""

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """What is happening: sessions, leadership, commands, jobs, ingestion, live pages."""

    name = "apps.sessions"
    label = "fustor_sessions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the ports of the apps below, which may not import this one."""
        from apps.sessions.services import plugs

        plugs.connect()

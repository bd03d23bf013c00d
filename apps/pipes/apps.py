"""Django application `fustor_pipes`."""

from django.apps import AppConfig


class PipesConfig(AppConfig):
    """What is configured: receivers, keys, pipes, agents, sources, senders."""

    name = "apps.pipes"
    label = "fustor_pipes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Plug the roles into the pages, and persons as principals into apps.views, which may not import this app."""
        from apps.pipes import logins
        from apps.pipes.confirmation import ask
        from apps.pipes.pages.people import record_deed, refused
        from apps.pipes.permissions import allowed
        from apps.pipes.principals import PersonPrincipal
        from apps.runtime.console import install_check
        from apps.views.ports import ports

        install_check(allowed, refused, ask)
        logins.listen()
        ports.person = PersonPrincipal
        ports.record = record_deed

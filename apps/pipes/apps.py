"""Django application `fustor_pipes`."""

from django.apps import AppConfig


class PipesConfig(AppConfig):
    """What is configured: receivers, keys, pipes, agents, sources, senders."""

    name = "apps.pipes"
    label = "fustor_pipes"
    default_auto_field = "django.db.models.BigAutoField"

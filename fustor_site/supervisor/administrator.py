"""The first administrator of a home. Used by supervisor/up.py."""

from django.contrib.auth import get_user_model

from apps.runtime.ids import new_secret


def ensure(given: str | None) -> str | None:
    """Make the user `admin` when no administrator is there. The password to show, when it was made here and not given."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return None
    password = given or new_secret()[:20]
    users.create_superuser("admin", password=password)
    return None if given else password

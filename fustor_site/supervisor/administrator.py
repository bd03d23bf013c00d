"""The first administrator of a home. Used by supervisor/up.py."""

from django.contrib.auth.models import User

from apps.pipes import people
from apps.pipes.audit import Actor
from apps.pipes.models import Role
from apps.runtime.ids import new_secret


def ensure(given: str | None) -> str | None:
    """Make the user `admin` when no administrator is there. The password to show, when it was made here and not given.

    Raises Invalid when the password policy refuses the given one.
    """
    if User.objects.filter(is_superuser=True).exists():
        return None
    password = given or new_secret()[:20]
    people.create(Actor("manage.py up"), "admin", password, Role.ADMIN)
    return None if given else password

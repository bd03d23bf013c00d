"""A login on the server's database: the cookie of a session that needs no form to be filled in."""

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.db import SessionStore

from apps.pipes.confirmation import PROVEN_AT
from apps.runtime import clock


def administrator_cookie(name: str) -> str:
    """The value of the session cookie of a new administrator."""
    return cookie_of(get_user_model().objects.create_superuser(name))


def cookie_of(user: AbstractBaseUser) -> str:
    """The value of the session cookie of a user who confirmed just now who they are."""
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store[PROVEN_AT] = clock.now()
    store.save()
    assert store.session_key
    return store.session_key

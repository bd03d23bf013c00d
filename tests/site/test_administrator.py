"""The first administrator: no default password, the policy holds, and it is on record."""

import pytest
from django.contrib.auth.models import User

from apps.pipes import people
from apps.pipes.audit import Actor
from apps.pipes.models import AuditEntry, Role
from apps.runtime.problems import Invalid
from fustor_site.supervisor import administrator


def test_a_password_is_made_shown_once_and_kept_nowhere(db: None) -> None:
    password = administrator.ensure(None)
    assert password
    assert len(password) == 20
    assert User.objects.get(username="admin").check_password(password)
    assert password not in str(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.get(verb="person.create").actor == "manage.py up"
    assert administrator.ensure(None) is None, "only once"


@pytest.mark.parametrize("weak", ["admin", "short", "password1234", "12345678901"])
def test_the_policy_holds_for_a_given_password(db: None, weak: str) -> None:
    with pytest.raises(Invalid):
        administrator.ensure(weak)
    assert not User.objects.exists()


def test_where_an_admin_is_nothing_is_made(db: None) -> None:
    people.create(Actor("root"), "ada", "correct-horse-battery", Role.ADMIN)
    assert administrator.ensure("whatever") is None
    assert User.objects.count() == 1

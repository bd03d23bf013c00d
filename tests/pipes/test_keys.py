"""Keys: what they open, when they stop working, and that their secrets are nowhere."""

from datetime import timedelta

import pytest

from apps.pipes import hashing, keys, ports, services, usage
from apps.pipes.audit import Actor
from apps.pipes.models import ApiKey, AuditEntry, KeyKind, Pipe, Receiver, Revision
from apps.runtime.clock import ManualClock, now_datetime
from apps.runtime.problems import Busy, Conflict, Invalid, Unauthorized
from apps.views.models import View

pytestmark = pytest.mark.usefixtures("small", "time_stands_still")
ANYWHERE = "192.0.2.7"


def test_a_receiver_key_pushes_into_its_pipes_and_reads_nothing() -> None:
    pipe = Pipe.objects.get()
    other = Pipe.objects.create(slug="other", receiver=pipe.receiver)
    _, secret = keys.create_key("receiver", receiver=pipe.receiver, pipes=[pipe])
    principal = keys.authenticate(secret, ANYWHERE)
    assert (principal.may_push(pipe), principal.may_push(other)) == (True, False)
    assert not principal.may_read(View.objects.get(slug="alpha"))
    assert list(principal.pipes()) == [pipe]


def test_a_query_key_reads_its_views_and_pushes_nothing() -> None:
    alpha, beta = View.objects.order_by("slug")
    _, secret = keys.create_key("query", views=[alpha])
    principal = keys.authenticate(secret, ANYWHERE)
    assert (principal.may_read(alpha), principal.may_read(beta)) == (True, False)
    assert list(principal.readable_views()) == [alpha]
    assert not principal.may_push(Pipe.objects.get())
    assert not principal.may_administer(alpha)


def test_a_key_for_all_views_reads_later_views_too() -> None:
    _, secret = keys.create_key("query", all_views=True)
    later = View.objects.create(slug="later")
    assert keys.authenticate(secret, ANYWHERE).may_read(later)


@pytest.mark.parametrize(
    ("scopes", "resets"), [(["admin"], True), (["viewer"], False), (["read", "reset"], True), (["operator"], False)]
)
def test_a_management_key_does_what_its_scopes_say(scopes: list[str], resets: bool) -> None:
    _, secret = keys.create_key("management", scopes=scopes)
    assert keys.authenticate(secret, ANYWHERE).may_administer(View.objects.get(slug="alpha")) is resets


def test_the_secret_is_not_stored() -> None:
    key, secret = keys.create_key("query", all_views=True)
    stored = ApiKey.objects.filter(pk=key.pk).values().get()
    assert secret not in str(stored)
    assert len(secret) >= 43, "256 bits in base64"
    assert secret.startswith(key.prefix)
    assert secret.endswith(key.last_four)


@pytest.mark.parametrize("wrong", ["", "x", "x" * 1_000_000, "schlüssel", "with space", "tab\t", "\x00"])
def test_what_cannot_be_a_key_is_refused_like_a_wrong_one(wrong: str) -> None:
    with pytest.raises(Unauthorized):
        keys.authenticate(wrong, ANYWHERE)


def test_a_revoked_key_is_refused_at_once_here_and_within_5_seconds_elsewhere(time_stands_still: ManualClock) -> None:
    key, secret = keys.create_key("query", all_views=True)
    keys.authenticate(secret, ANYWHERE)
    # what another process does: this one is not told
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=now_datetime())
    time_stands_still.advance(5)
    with pytest.raises(Unauthorized):
        keys.authenticate(secret, ANYWHERE)


@pytest.mark.django_db(transaction=True)
def test_revoking_ends_live_sessions_and_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(ports, "_session_enders", [ended.extend])
    key, secret = keys.create_key("query", all_views=True)
    keys.authenticate(secret, ANYWHERE)
    services.revoke_key(Actor("anna"), key)
    assert ended == [key.pk]
    with pytest.raises(Unauthorized):
        keys.authenticate(secret, ANYWHERE)
    with pytest.raises(Conflict):
        services.revoke_key(Actor("anna"), key)


def test_an_expired_key_is_refused(time_stands_still: ManualClock) -> None:
    _, secret = keys.create_key("query", all_views=True, expires_at=now_datetime() + timedelta(seconds=10))
    keys.authenticate(secret, ANYWHERE)
    time_stands_still.advance(10)
    with pytest.raises(Unauthorized):
        keys.authenticate(secret, ANYWHERE)


@pytest.mark.parametrize(("address", "good"), [("10.1.2.3", True), ("192.0.2.7", False), ("", False), ("fe80::1", False)])
def test_a_key_is_good_in_its_networks_only(address: str, good: bool) -> None:
    _, secret = keys.create_key("query", all_views=True, allowed_networks=["10.0.0.0/8"])
    if good:
        assert keys.authenticate(secret, address)
    else:
        with pytest.raises(Unauthorized):
            keys.authenticate(secret, address)


def test_a_rotated_pepper_still_verifies_old_keys(settings: object) -> None:
    _, secret = keys.create_key("query", all_views=True)
    settings.FUSTOR_KEY_PEPPERS = ["new-pepper", *settings.FUSTOR_KEY_PEPPERS]  # type: ignore[attr-defined]
    assert keys.authenticate(secret, ANYWHERE)
    settings.FUSTOR_KEY_PEPPERS = ["new-pepper"]  # type: ignore[attr-defined]
    keys.forget()
    with pytest.raises(Unauthorized):
        keys.authenticate(secret, ANYWHERE)


def test_failures_are_limited_per_address_and_good_keys_in_use_go_on(settings: object) -> None:
    settings.FUSTOR_AUTH_FAILURES_PER_MINUTE = 5  # type: ignore[attr-defined]
    _, good = keys.create_key("query", all_views=True)
    keys.authenticate(good, ANYWHERE)
    for attempt in range(5):
        with pytest.raises(Unauthorized):
            keys.authenticate(f"guess-{attempt}", ANYWHERE)
    with pytest.raises(Busy) as refused:
        keys.authenticate("guess-6", ANYWHERE)
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 60
    assert keys.authenticate(good, ANYWHERE)
    with pytest.raises(Unauthorized):
        keys.authenticate("guess-7", "198.51.100.1")


def test_failures_are_limited_without_redis_too(settings: object) -> None:
    settings.FUSTOR_AUTH_FAILURES_PER_MINUTE = 3  # type: ignore[attr-defined]
    settings.CACHES = {  # type: ignore[attr-defined]
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "unix:///nowhere/redis.sock"}
    }
    for _ in range(3):
        with pytest.raises(Unauthorized):
            keys.authenticate("guess", ANYWHERE)
    with pytest.raises(Busy):
        keys.authenticate("guess", ANYWHERE)


def test_last_use_is_written_down_by_the_task_not_by_the_request(
    django_assert_num_queries: object, time_stands_still: ManualClock
) -> None:
    key, secret = keys.create_key("query", all_views=True)
    keys.authenticate(secret, ANYWHERE)
    key.refresh_from_db()
    assert key.last_used_at is None
    assert usage.write_down() == 1
    key.refresh_from_db()
    assert key.last_used_at == now_datetime()
    assert usage.write_down() == 0, "nothing new to write"


def test_a_known_key_costs_no_query(django_assert_num_queries: object) -> None:
    _, secret = keys.create_key("query", all_views=True)
    keys.authenticate(secret, ANYWHERE)
    with django_assert_num_queries(0):  # type: ignore[operator]
        keys.authenticate(secret, ANYWHERE)


def test_rotation_with_overlap_keeps_both_good_and_then_the_new_one_only(time_stands_still: ManualClock) -> None:
    pipe = Pipe.objects.get()
    old, old_secret = keys.create_key("receiver", receiver=pipe.receiver, pipes=[pipe], name="host a")
    new, new_secret = services.rotate_key(Actor("anna"), old, overlap_seconds=60)
    assert keys.authenticate(old_secret, ANYWHERE).may_push(pipe)
    assert keys.authenticate(new_secret, ANYWHERE).may_push(pipe)
    assert (new.name, ApiKey.objects.get(pk=new.pk).replaces) == ("host a", old)
    time_stands_still.advance(61)
    with pytest.raises(Unauthorized):
        keys.authenticate(old_secret, ANYWHERE)
    assert keys.authenticate(new_secret, ANYWHERE)


def test_every_change_of_a_key_is_audited_without_the_secret() -> None:
    key, secret = services.issue_key(Actor("anna", "10.0.0.9", "req-1"), "query", "portal", all_views=True)
    services.revoke_key(Actor("anna"), key)
    made, revoked = AuditEntry.objects.order_by("pk").filter(verb__startswith="key.")
    assert (made.verb, made.actor, made.address, made.request_id) == ("key.create", "anna", "10.0.0.9", "req-1")
    assert revoked.verb == "key.revoke"
    assert secret not in str([made.after, revoked.before, *Revision.objects.values_list("document", flat=True)])


@pytest.mark.parametrize(
    ("kind", "scope", "field"),
    [
        ("receiver", {}, "receiver"),
        ("query", {}, "views"),
        ("management", {}, "scopes"),
        ("management", {"scopes": ["everything"]}, "scopes"),
        ("agent", {}, "agent"),
        ("query", {"all_views": True, "allowed_networks": ["10.0.0.0/99"]}, "allowed_networks"),
    ],
)
def test_a_scope_that_does_not_fit_is_refused_with_the_field(kind: str, scope: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        keys.create_key(kind, **scope)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_a_key_cannot_be_bound_to_another_receivers_pipe() -> None:
    stranger = Receiver.objects.create(slug="stranger")
    with pytest.raises(Invalid):
        keys.create_key("receiver", receiver=stranger, pipes=[Pipe.objects.get()])


def test_short_secrets_from_old_files_show_nothing_of_themselves() -> None:
    kept = hashing.fingerprint("hunter2")
    assert "hunter2"[:3] not in kept.prefix
    assert kept.last_four not in "hunter2"


def test_kinds_have_readable_starts() -> None:
    assert set(keys.STARTS) == set(KeyKind)

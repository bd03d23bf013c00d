"""System checks name what is wrong with an installation and what to do about it."""

from pathlib import Path

import pytest
from django.core.checks import CheckMessage
from pytest_django.fixtures import Settings

from fustor_site import checks


def ids(messages: list[CheckMessage]) -> list[str | None]:
    assert all(message.hint for message in messages), "every message says what to do"
    return [message.id for message in messages]


def test_a_sound_installation_has_nothing_to_say() -> None:
    assert ids([*checks.home(None), *checks.database(None), *checks.broker(None)]) == []


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_a_database_that_the_store_does_not_speak(settings: Settings) -> None:
    settings.DATABASES = {"default": {"ENGINE": "django.db.backends.mysql"}}
    assert ids(checks.database(None)) == ["fustor.E003"]


@pytest.mark.parametrize("url", ["amqp://host", "localhost:6379"])
def test_a_broker_that_is_not_redis(settings: Settings, url: str) -> None:
    settings.FUSTOR_REDIS_URL = url
    assert ids(checks.broker(None)) == ["fustor.E005"]


def test_an_open_host_list_and_a_short_pepper_are_named_before_deployment(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.FUSTOR_KEY_PEPPERS = ["short"]
    assert ids(checks.exposure(None)) == ["fustor.W001", "fustor.W002"]


def test_sqlite_on_a_network_file_system_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.FUSTOR_HOME = tmp_path
    monkeypatch.setattr(checks, "NETWORK_FILESYSTEMS", {checks._filesystem(tmp_path)})
    if settings.IS_SQLITE:
        assert ids(checks.home(None)) == ["fustor.E002"]
    else:
        assert ids(checks.home(None)) == []

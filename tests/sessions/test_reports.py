"""Configuration reports: no secret of an agent is ever stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.runtime.clock import ManualClock
from apps.runtime.problems import Invalid, TooLarge
from apps.sessions.models import Command, ConfigReport
from apps.sessions.redaction import NotYaml, redacted
from apps.sessions.services import commands, config_reports
from tests.sessions.conftest import Site


@pytest.mark.parametrize(
    "line",
    [
        "api_key: SECRET",
        "list:\n  - key: SECRET",
        "api_keys:\n  - SECRET\n  - {name: a, key: SECRET}",
        "password: |\n  SECRET\n  SECRET",
        "uri: http://me:SECRET@host/path",
        "one: &anchor\n  x: SECRET\nsecret: *anchor",
        "api_keys: [SECRET]",
        "api-key:   'SECRET'   # mine",
        '"password": "SECRET"',
        "X_TOKEN: SECRET",
        "credential: {user: me, key: SECRET}",
        "sender: {uri: http://x, api_key: SECRET, batch: 5}",
        "credentials: SECRET",
    ],
)
def test_values_of_secret_names_are_struck_out(line: str) -> None:
    assert "SECRET" not in redacted(f"a: 1\n{line}\nb: 2\n")


@pytest.mark.parametrize("line", ["uri: http://host/path", "keyboard: qwerty", "batch_size: 100", "sources: [a, b]  # a comment"])
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert redacted(f"a: 1\n{line}\n") == f"a: 1\n{line}\n"


def test_text_that_is_no_yaml_is_not_kept() -> None:
    with pytest.raises(NotYaml):
        redacted("a: [1\nkey: SECRET")


@given(st.from_regex(r"[A-Za-z0-9_]{8,40}", fullmatch=True), st.sampled_from(["api_key", "token", "secret", "password"]))
def test_no_value_survives(value: str, name: str) -> None:
    text = f"senders:\n  main:\n    {name}: zz{value}zz\n    uri: http://x\n"
    assert f"zz{value}zz" not in redacted(text)


def test_the_last_report_of_a_file_is_kept_and_answers_the_command(site: Site, time: ManualClock) -> None:
    session = site.open()
    commands.send(session, "report_config", {}, actor="ada")
    for text in ("a: 1\n", "a: 2\n"):
        config_reports.store(session, {"filename": "agent.yaml", "config_yaml": text})
    assert ConfigReport.objects.get().config_yaml == "a: 2\n"
    assert Command.objects.get().state == "DONE"


def test_reports_that_are_none_are_refused(site: Site, time: ManualClock) -> None:
    session = site.open()
    with pytest.raises(Invalid):
        config_reports.store(session, {"filename": "a"})
    with pytest.raises(TooLarge):
        config_reports.store(session, {"config_yaml": "x" * (config_reports.MAX_BYTES + 1)})

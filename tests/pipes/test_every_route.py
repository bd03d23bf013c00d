"""Every route of the API and every URL of the console, tried as everybody. A new one without a place in these tables fails here."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import get_converters

from apps.pipes import people, services
from apps.pipes.audit import Actor
from apps.pipes.confirmation import PROVEN_AT
from apps.pipes.keys import create_key
from apps.pipes.models import Agent, ApiKey, Role
from apps.pipes.permissions import CONFIRMED, TABLE, Verb
from apps.runtime import clock
from apps.runtime.console import OWN
from tests.blackbox.login import cookie_of
from tests.blackbox.processes import RunningServer
from tests.blackbox.world import World
from tests.pipes.openapi_calls import Call, calls

ROOT = Actor("root")
PASSWORD = "correct-horse-battery"

# ---- the API -----------------------------------------------------------------------------------------------------

M = "/api/v1/manage"
VERBS: dict[Verb, str] = {
    Verb.READ: f"""
        GET /api/v1/views/{{view_id}}/sessions, GET /api/v1/views/{{view_id}}/jobs, GET /api/v1/views/{{view_id}}/jobs/{{job_id}},
        GET /api/v1/views/{{view_id}}/tree, GET /api/v1/views/{{view_id}}/stats,
        GET /api/v1/views/{{view_id}}/search, GET /api/v1/views/{{view_id}}/metadata, GET /api/v1/views/{{view_id}}/blind-spots,
        GET /api/v1/views/{{view_id}}/suspect-list, PUT /api/v1/views/{{view_id}}/suspect-list,
        GET /api/v1/views/{{view_id}}/changes,
        GET /api/v1/views/{{view_id}}/settled, GET /api/v1/views/{{view_id}}/explain, GET /api/v1/views/{{view_id}}/usage,
        GET /api/v1/views/{{view_id}}/compare,
        GET {M}/configuration, GET {M}/configuration/export, GET {M}/drivers, GET {M}/revisions, GET {M}/revisions/{{number}},
        GET {M}/revisions/{{number}}/diff, GET {M}/objects/{{kind}}, GET {M}/objects/{{kind}}/{{ident}}, GET {M}/agents,
        GET {M}/agents/{{ident}}, GET {M}/legacy-use, GET {M}/settings, GET {M}/rollouts, GET {M}/rollouts/{{number}}""",
    Verb.RUN: "POST /api/v1/views/{view_id}/jobs, POST /api/v1/views/{view_id}/blind-spots/close",
    Verb.CONTROL: f"POST {M}/pipes/{{ident}}/{{action}}, POST {M}/agents/{{ident}}/reload",
    Verb.CONFIGURE: f"""
        PUT {M}/settings,
        POST {M}/configuration/plan, POST {M}/configuration/import, POST {M}/revisions/{{number}}/restore, GET {M}/drafts,
        GET {M}/draft, PUT {M}/draft, DELETE {M}/draft, PUT {M}/draft/objects/{{kind}}/{{ident}}, GET {M}/draft/review,
        DELETE {M}/draft/objects/{{kind}}/{{ident}}, GET {M}/drafts/{{owner}}/review, POST {M}/draft/rebase, POST {M}/draft/apply,
        POST {M}/drafts/{{owner}}/apply, POST {M}/rollouts/{{number}}/rollback, POST {M}/rollouts/{{number}}/{{order}},
        PUT {M}/settings, POST {M}/trials, GET {M}/trials/{{trial}}, POST {M}/agents/{{ident}}/check,
        POST {M}/agents/{{ident}}/upgrade, GET {M}/agents/{{ident}}/upgrade,
        PUT {M}/objects/{{kind}}/{{ident}}, PATCH {M}/objects/{{kind}}/{{ident}}, DELETE {M}/objects/{{kind}}/{{ident}}""",
    Verb.KEYS: f"GET {M}/keys, POST {M}/keys, GET {M}/keys/{{ref}}, DELETE {M}/keys/{{ref}}, POST {M}/keys/{{ref}}/rotate",
    Verb.ENROL: f"""
        GET {M}/enrolment/tokens, POST {M}/enrolment/tokens, DELETE {M}/enrolment/tokens/{{token_id}}, GET {M}/enrolment/requests,
        POST {M}/enrolment/requests/{{request_id}}/approve, POST {M}/enrolment/requests/{{request_id}}/reject""",
    Verb.PEOPLE: f"""
        GET {M}/people, POST {M}/people, GET {M}/people/{{username}}, DELETE {M}/people/{{username}},
        PATCH {M}/people/{{username}}, DELETE {M}/people/{{username}}/logins, DELETE {M}/people/{{username}}/second-factor,
        POST {M}/people/{{username}}/link""",
    Verb.AUDIT: f"GET {M}/audit, GET {M}/audit/export",
    Verb.RESET: "DELETE /api/v1/views/{view_id}/reset",
}
NEEDS = {route.strip(): verb for verb, routes in VERBS.items() for route in routes.split(",")}
# answers what the caller may see of it: an empty list to who sees no view
BY_SIGHT = {"GET /api/v1/views", "GET /api/v1/views/locate"}
# needs more of a management key than this verb: to read the view too, or what the role holds that is given
NEEDS_MORE = {
    "DELETE /api/v1/views/{view_id}/reset",
    "POST /api/v1/views/{view_id}/blind-spots/close",
    "POST /api/v1/views/{view_id}/jobs",
    f"POST {M}/people",
}
# opened by an enrolment token, which is no key
BY_TOKEN = {"POST /api/v1/pipe/agents/enrol", "POST /api/v1/pipe/agents/enrol/{request_id}"}


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def every(http: httpx.Client, world: World) -> list[Call]:
    """Every route, aimed at things that exist only where nothing can be destroyed."""
    document = http.get("/api/v1/openapi.json").json()
    return calls(document, {"view_id": world.view.slug, "pipe_id": world.pipe.slug, "kind": "pipes", "username": "no-such-user"})


def allowed(http: httpx.Client, every: list[Call], headers: dict[str, str]) -> set[str]:
    """The routes that did not refuse (401, 403) this caller."""
    return {call.route for call in every if call.send(http, headers).status_code not in {401, 403}}


def with_key(secret: str) -> dict[str, str]:
    return {"X-API-Key": secret}


@pytest.mark.blackbox
def test_every_route_of_the_api_has_a_place_in_the_tables(every: list[Call]) -> None:
    placed = NEEDS.keys() | BY_SIGHT | BY_TOKEN
    routes = {call.route for call in every if not call.path.startswith("/api/v1/pipe/") or call.route in BY_TOKEN}
    assert routes == placed


@pytest.mark.blackbox
@pytest.mark.parametrize("verb", list(Verb))
def test_a_management_key_with_one_verb_opens_the_routes_of_that_verb_only(
    http: httpx.Client, every: list[Call], verb: Verb
) -> None:
    _, secret = create_key("management", scopes=[verb])
    expected = {route for route, needed in NEEDS.items() if needed == verb} - NEEDS_MORE
    assert allowed(http, every, with_key(secret)) == expected | BY_SIGHT


@pytest.mark.blackbox
@pytest.mark.parametrize("role", list(Role))
def test_a_management_key_with_a_role_opens_what_the_permission_table_gives_it(
    http: httpx.Client, every: list[Call], role: Role
) -> None:
    _, secret = create_key("management", scopes=[role])
    expected = {route for route, needed in NEEDS.items() if needed in TABLE[role]}
    assert allowed(http, every, with_key(secret)) == expected | BY_SIGHT


@pytest.mark.blackbox
@pytest.mark.parametrize("role", list(Role))
def test_a_person_opens_what_the_permission_table_gives_the_role(http: httpx.Client, every: list[Call], role: Role) -> None:
    cookies = logged_in(people.create(ROOT, f"p-{clock.now()}", PASSWORD, role))
    expected = {route for route, needed in NEEDS.items() if needed in TABLE[role]}
    assert allowed(http, every, cookies) == expected | BY_SIGHT


@pytest.mark.blackbox
def test_a_restricted_viewer_opens_the_questions_of_its_views_and_nothing_of_others(
    http: httpx.Client, make_world: Callable[..., World]
) -> None:
    mine, other = make_world(), make_world()
    cookies = logged_in(people.create(ROOT, f"p-{clock.now()}", PASSWORD, Role.VIEWER, [mine.view]))
    document = http.get("/api/v1/openapi.json").json()
    reads = {route for route, verb in NEEDS.items() if verb == Verb.READ and "{view_id}" in route}
    assert allowed(http, calls(document, {"view_id": mine.view.slug}), cookies) == reads | BY_SIGHT
    assert allowed(http, calls(document, {"view_id": other.view.slug}), cookies) == BY_SIGHT


def logged_in(user: User) -> dict[str, str]:
    """Headers of a browser in which this person has logged in just now."""
    token = "c" * 32
    return {
        "Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie_of(user)}; {settings.CSRF_COOKIE_NAME}={token}",
        settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"): token,
    }


@pytest.mark.blackbox
def test_every_other_kind_of_key_opens_its_part_and_nothing_else(
    http: httpx.Client, every: list[Call], world: World, make_world: Callable[..., World]
) -> None:
    pipe = {call.route for call in every if call.path.startswith("/api/v1/pipe/")} - BY_TOKEN
    own = {route for route in pipe if "/agents/self/" in route}
    reads = {route for route, verb in NEEDS.items() if verb == Verb.READ and "{view_id}" in route}
    agent = Agent.objects.create(slug=f"agent-{clock.now()}".replace(".", "-"))
    _, agents = create_key("agent", agent=agent, pipes=[world.pipe])
    other = make_world()
    revoked, secret = create_key("query", views=[world.view])
    services.revoke_key(ROOT, ApiKey.objects.get(pk=revoked.pk))
    assert allowed(http, every, with_key(world.key)) == pipe - own
    assert allowed(http, every, with_key(agents)) == pipe
    assert allowed(http, every, with_key(world.query_key)) == reads | BY_SIGHT | {"POST /api/v1/views/{view_id}/jobs"}
    assert allowed(http, every, with_key(other.query_key)) == BY_SIGHT
    for nobody in (with_key(secret), with_key("wrong"), {}):
        assert allowed(http, every, nobody) == set()


# ---- the console -------------------------------------------------------------------------------------------------

# pages that ask for no verb, on purpose: the way in, the way out, probes; the API has its own tables above
OPEN = {"login", "logout", "second_step", "set_password", "healthz", "readyz", "metrics"}
SAMPLES = {
    "int": "987654",
    "str": "none",
    "slug": "none",
    "ident": "none",
    "uuid": "3f2b8a52-6f6d-4e0e-9d55-0d2f0e1c9a11",
    "path": "none",
}


def console_urls() -> dict[str, tuple[str, Callable[..., Any]]]:
    """Name of every URL outside the API → an address that fits it, and its view."""
    return dict(_walk(get_resolver().url_patterns, "/"))


def _walk(patterns: list[URLPattern | URLResolver], above: str) -> Iterator[tuple[str, tuple[str, Callable[..., Any]]]]:
    for pattern in patterns:
        address = above + _filled(pattern)
        if address.startswith("/api/"):
            continue
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, address)
        else:
            yield str(pattern.name), (address, pattern.callback)


def _filled(pattern: URLPattern | URLResolver) -> str:
    route = str(pattern.pattern)
    kinds = {converter: kind for kind, converter in get_converters().items()}
    for name, converter in pattern.pattern.converters.items():
        kind = kinds.get(converter, "str")
        route = route.replace(f"<{kind}:{name}>", SAMPLES[kind]).replace(f"<{name}>", SAMPLES[kind])
    return route


PAGES = {name: found for name, found in console_urls().items() if name not in OPEN}


def test_every_url_of_the_console_declares_its_permission() -> None:
    assert len(PAGES) > 60
    undeclared = [name for name, (_, view) in PAGES.items() if getattr(view, "verb", None) not in {*Verb, OWN}]
    assert undeclared == []


def client_of(role: Role | None, *, proven: bool = True) -> Client:
    client = Client()
    if role:
        client.force_login(people.create(ROOT, f"a-{role}", PASSWORD, role))
        session = client.session
        session[PROVEN_AT] = clock.now() if proven else 0.0
        session.save()
    return client


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_sent_to_the_login(db: None, method: str) -> None:
    client = client_of(None)
    for name, (address, _) in PAGES.items():
        answer = getattr(client, method)(address)
        to_login = answer.status_code == 302 and answer.headers["Location"].startswith("/login/")
        assert to_login or answer.status_code == 405, name


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_what_the_permission_table_gives_it(db: None, role: Role, method: str) -> None:
    user = people.create(ROOT, f"a-{role}", PASSWORD, role)
    for name, (address, view) in PAGES.items():
        verb: str = view.verb  # type: ignore[attr-defined]  # every page has one, see above
        client = Client()  # some of these pages log out
        client.force_login(user)
        answer = getattr(client, method)(address)
        if answer.status_code == 405:
            continue
        refused = answer.status_code == 403
        assert refused == (verb != OWN and Verb(verb) not in TABLE[role]), f"{method} {name}: {answer.status_code}"


def test_what_is_grave_asks_an_old_login_to_confirm(db: None) -> None:
    grave = {name for name, (_, view) in PAGES.items() if view.confirm}  # type: ignore[attr-defined]
    user = people.create(ROOT, "ada", PASSWORD, Role.ADMIN)
    asked = set()
    for name, (address, view) in PAGES.items():
        client = Client()
        client.force_login(user)
        session = client.session
        session[PROVEN_AT] = 0.0
        session.save()
        answer = client.post(address)
        if "Confirm that it is you" in answer.content.decode():
            asked.add(name)
        elif view.verb in CONFIRMED:  # type: ignore[attr-defined]
            reads_only = answer.status_code in {200, 405} and "<form" not in answer.content.decode().partition("<main")[2]
            assert reads_only or name in {"users"}, f"{name} changes what is grave without asking"
    assert asked == grave

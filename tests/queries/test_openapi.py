"""The OpenAPI description of /views says what the answers are: the fields of the structs, every route, each guarded."""

import msgspec
import pytest
from ninja import Schema

from apps.views.api import schemas
from apps.views.queries import blind_spots, changes, forests, locate, nodes, suspects
from apps.views.queries.explain import explain
from apps.views.queries.settled import settled
from apps.views.queries.stats import stats_answer
from apps.views.queries.usage import by_age, by_owner
from fustor_site.api import api
from tests.queries.trees import T0, fill, make_view

PAIRS = [
    (schemas.BlindSpotsOut, blind_spots.BlindSpots),
    (schemas.ChangeOut, changes.Change),
    (schemas.ComparedOut, forests.Compared),
    (schemas.ComparisonOut, forests.Comparison),
    (schemas.FeedOut, changes.Feed),
    (schemas.HitOut, locate.Hit),
    (schemas.NodeOut, nodes.DirectoryNode),
    (schemas.PlacesOut, locate.Places),
    (schemas.SuspectOut, suspects.SuspectEntry),
    (schemas.UnsearchedOut, locate.Unsearched),
]
ROUTES = [
    "blind-spots",
    "changes",
    "compare",
    "explain",
    "metadata",
    "reset",
    "search",
    "settled",
    "stats",
    "suspect-list",
    "tree",
    "usage",
]


@pytest.mark.parametrize(("described", "struct"), PAIRS, ids=lambda kind: kind.__name__)
def test_described_fields_are_the_fields_of_the_answer(described: type[Schema], struct: type[msgspec.Struct]) -> None:
    assert set(described.model_fields) == set(struct.__struct_fields__)


@pytest.mark.parametrize("route", ROUTES)
def test_every_question_is_described(route: str) -> None:
    paths = api.get_openapi_schema()["paths"]
    assert f"/api/v1/views/{{view_id}}/{route}" in paths


@pytest.mark.django_db
def test_stats_are_described_as_they_are() -> None:
    tree = make_view()
    fill(tree, ["/d/a"])
    answer = {"view_id": "v", **stats_answer(tree, "/", T0)}
    assert set(answer) == set(schemas.StatsOut.model_fields)
    assert set(answer["freshness"]) == set(schemas.FreshnessOut.model_fields)


@pytest.mark.django_db
def test_verdicts_and_explanations_are_described_as_they_are() -> None:
    tree = make_view()
    fill(tree, ["/d/a"])
    assert set(settled(tree, "/d", None, T0)) == set(schemas.SettledOut.model_fields)
    assert {"view_id", *explain(tree, "/d/a")} == set(schemas.ExplainOut.model_fields)
    assert set(by_owner(tree, "/")) | set(by_age(tree, "/", None, T0)) == set(schemas.UsageOut.model_fields)


def test_every_route_of_the_views_asks_for_a_key() -> None:
    paths = api.get_openapi_schema()["paths"]
    ours = {path: methods for path, methods in paths.items() if path.startswith("/api/v1/views")}
    assert len(ours) >= len(ROUTES) + 2
    for path, methods in ours.items():
        for method, operation in methods.items():
            assert operation.get("security"), f"{method} {path}"

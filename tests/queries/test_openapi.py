"""The OpenAPI description of /views says what the answers are: the fields of the structs, every route, each guarded."""

import msgspec
import pytest

from apps.views.api import schemas
from apps.views.queries import blind_spots, forests, lookup, whole_forest
from apps.views.queries.changes import feed
from apps.views.queries.explain import explain
from apps.views.queries.settled import settled
from apps.views.queries.stats import stats_answer
from apps.views.queries.usage import by_age, by_owner
from fustor_site.api import api
from tests.queries.test_changes import append, created
from tests.queries.trees import T0, fill, make_view

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


@pytest.mark.django_db
def test_shapes_made_from_structs_describe_real_answers() -> None:
    tree = make_view("forest", "a", change_seq=0)
    fill(tree, ["/d/a"])
    append(tree, created("/d/a"))
    top, leaf = lookup.node_at(tree, "/d"), lookup.node_at(tree, "/d/a")
    compared = forests.compare(tree.view, "/d", "", 10, only_differences=False, now=T0)
    answers = [
        (schemas.NodeOut, top),
        (schemas.NodeOut, leaf),
        (schemas.ComparisonOut, compared),
        (schemas.FeedOut, feed(tree, 0, "/", 10)),
        (schemas.ForestFeedOut, whole_forest.feed_all(tree.view, "a:0", "/", 10)),
        (schemas.BlindSpotsOut, blind_spots.blind_spots(tree, "/", None, 10)),
    ]
    for shape, answer in answers:
        sent = msgspec.to_builtins(answer)
        read = shape.model_validate(sent)
        assert set(sent) <= set(shape.model_fields)
        assert read.model_dump(exclude_unset=True) == sent


def test_fields_that_every_answer_has_are_required_and_only_those() -> None:
    shapes = api.get_openapi_schema()["components"]["schemas"]
    assert {"name", "path", "size", "kind"} <= set(shapes["NodeOut"]["required"])
    assert not {"path_b64", "total_files", "unscanned"} & set(shapes["NodeOut"]["required"])
    assert shapes["PlacesOut"]["properties"]["hits"]["items"]["$ref"].endswith("/HitOut")


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

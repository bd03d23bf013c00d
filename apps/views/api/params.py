"""Query parameters that several routes share. `path` is read from the raw query string (queries.scope), declared for OpenAPI."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Field, Schema
from pydantic import AfterValidator, AllowInfNan

from apps.views.access import Principal

MAX_LIMIT = 10_000


class Request(HttpRequest):
    """A request that the API authenticated: what the handlers get."""

    auth: Principal


# what both databases can hold as an integer
MAX_INTEGER = 2**63 - 1


def without_nul(text: str) -> str:
    """The text. Raises ValueError for a NUL, which no name can hold and PostgreSQL cannot take."""
    if "\0" in text:
        raise ValueError("holds a NUL")
    return text


Text = Annotated[str, AfterValidator(without_nul)]
Size = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Moment = Annotated[float, AllowInfNan(False)]


class PathParams(Schema):
    """Which node."""

    path: str = Field("/", description="Absolute within the source root, taken literally")
    path_b64: str | None = Field(None, description="The raw bytes of a path that is not UTF-8, in base64; wins over `path`")
    member: Text | None = Field(None, description="In a forest: the pipe id of one member")


class PageParams(Schema):
    """How much of an answer."""

    limit: int = Field(MAX_LIMIT, ge=1, le=MAX_LIMIT, description="Most entries of one page")
    cursor: str | None = Field(None, description="`next_cursor` of the page before")


class PagedPathParams(PathParams, PageParams):
    """Which node, how much."""

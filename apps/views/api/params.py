"""Query parameters that several routes share. `path` is read from the raw query string (queries.scope), declared here for OpenAPI."""

from ninja import Field, Schema

MAX_LIMIT = 10_000


class PathParams(Schema):
    """Which node."""

    path: str = Field("/", description="Absolute within the source root, taken literally")
    path_b64: str | None = Field(None, description="The raw bytes of a path that is not UTF-8, in base64; wins over `path`")
    member: str | None = Field(None, description="In a forest: the pipe id of one member")


class PageParams(Schema):
    """How much of an answer."""

    limit: int = Field(MAX_LIMIT, ge=1, le=MAX_LIMIT, description="Most entries of one page")
    cursor: str | None = Field(None, description="`next_cursor` of the page before")


class PagedPathParams(PathParams, PageParams):
    """Which node, how much."""

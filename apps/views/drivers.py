"""Drivers of views and their settings. The YAML field `driver_params` of a view is one of these structs."""

from typing import Annotated

from msgspec import Meta, Struct

from apps.runtime.drivers import Driver

MOST_SECONDS = 366 * 86400
SECONDS = {"x-unit": "seconds"}
RARE = {"x-advanced": True}


def _seconds(title: str, description: str, *, is_rare: bool = False) -> Meta:
    """A length of time in a view's settings."""
    schema = {**SECONDS, **RARE} if is_rare else SECONDS
    return Meta(ge=0, le=MOST_SECONDS, title=title, description=description, extra_json_schema=schema)


class ViewSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set on a view; each field is a column of apps.views.models.View, documented there."""

    live_mode: Annotated[
        bool, Meta(title="Live mode", description="Empty the view when its last session ends; for storage that comes and goes.")
    ] = False
    hot_file_threshold: Annotated[
        float,
        _seconds("Settled after", "So long without a change, and a file is no longer suspect."),
    ] = 30.0
    tombstone_floor: Annotated[
        float,
        _seconds(
            "Remember deletions for", "At least so long, so that late news of a deleted file does not bring it back.", is_rare=True
        ),
    ] = 3600.0
    attr_cache_bound: Annotated[
        float,
        _seconds("Attribute cache of the mounts", "So long an NFS client may still show an old listing.", is_rare=True),
    ] = 60.0
    brake_rows: Annotated[
        int,
        Meta(
            ge=1,
            le=2**53,
            title="Hold an audit that deletes more than",
            description="Rows; and more than the share below. It waits for a person then.",
            extra_json_schema=RARE,
        ),
    ] = 1000
    brake_share: Annotated[
        float, Meta(gt=0, le=1, title="and more than this share", description="Of all rows.", extra_json_schema=RARE)
    ] = 0.2
    max_nodes: Annotated[
        Annotated[int, Meta(ge=1, le=2**53)] | None,
        Meta(title="Most nodes", description="Nothing more is taken beyond it. Empty: no limit.", extra_json_schema=RARE),
    ] = None


FS = Driver("fs", "File system", ViewSettings)
FS_FOREST = Driver("fs-forest", "Forest of file systems", ViewSettings)

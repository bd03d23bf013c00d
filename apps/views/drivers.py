"""Drivers of views and their settings. The YAML field `driver_params` of a view is one of these structs."""

from typing import Annotated

from msgspec import Meta, Struct

from apps.runtime.drivers import Driver

Seconds = Annotated[float, Meta(ge=0, le=366 * 86400)]
Share = Annotated[float, Meta(gt=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=2**53)]


class ViewSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set on a view; each field is a column of apps.views.models.View, documented there."""

    live_mode: bool = False
    hot_file_threshold: Seconds = 30.0
    tombstone_floor: Seconds = 3600.0
    attr_cache_bound: Seconds = 60.0
    brake_rows: Count = 1000
    brake_share: Share = 0.2
    max_nodes: Count | None = None


FS = Driver("fs", "File system", ViewSettings)
FS_FOREST = Driver("fs-forest", "Forest of file systems", ViewSettings)

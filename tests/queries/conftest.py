"""The engine's test bench, for tests that read what the real writing side stored."""

from tests.views.conftest import bench, manual

__all__ = ["bench", "manual"]

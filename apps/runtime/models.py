"""The time base, which makes server time steady across processes and restarts (R44), and the settings of the server."""

from django.db import models


class TimeBase(models.Model):
    """Server time on one boot of one host = `offset` + seconds since that boot.

    Fixed at the first look on that boot, so a step of the wall clock moves nothing that expires or fences.
    """

    boot_id = models.CharField(max_length=64, unique=True)
    offset = models.FloatField(help_text="Unix seconds at boot, as first seen")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.boot_id


class KeptSettings(models.Model):
    """The section `settings` of the configuration as it is in force: one row. Read and written by apps.runtime.server_settings."""

    ONLY = 1

    values = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return "settings of the server"

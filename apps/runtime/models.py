"""The time base: what makes server time steady across processes and restarts (R44)."""

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

"""The fields "in waves" of every form that applies a change: read from the request, shown again as they were typed."""

from dataclasses import dataclass

from django.http import HttpRequest, QueryDict

from apps.pipes.rollouts.waves import Terms, parse_waves
from apps.runtime.problems import Invalid

DEFAULTS = Terms(())


@dataclass(frozen=True)
class TermsForm:
    """What was typed, as text; empty fields mean the default, no waves mean everywhere at once."""

    waves: str = ""
    tolerated: str = str(DEFAULTS.tolerated)
    patience_minutes: str = f"{DEFAULTS.patience_seconds / 60:g}"
    pause_seconds: str = f"{DEFAULTS.pause_seconds:g}"

    def terms(self) -> Terms | None:
        """The terms; None without waves. Raises Invalid naming the field."""
        waves = parse_waves(self.waves)
        if not waves:
            return None
        patience = _number(self.patience_minutes, "patience_minutes") * 60
        tolerated = _number(self.tolerated, "tolerated")
        return Terms(waves, int(tolerated), patience, _number(self.pause_seconds, "pause_seconds"))


def posted_terms(request: HttpRequest) -> TermsForm:
    """The fields as they came with the request."""
    posted: QueryDict = request.POST
    typed = {name: posted.get(name, "").strip() for name in TermsForm.__dataclass_fields__}
    return TermsForm(**{name: value for name, value in typed.items() if value or name == "waves"})


def _number(text: str, field: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is no number.", field=field, fix="Write digits, or leave the field empty.") from error

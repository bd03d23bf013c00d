"""Bodies and answers of the management API."""

from typing import Annotated, Any

from ninja import Field, Path, Schema

from apps.pipes.config.plan import Action, Plan
from apps.pipes.models import Revision
from apps.pipes.rollouts.waves import LONGEST_SECONDS, Terms, parse_waves

# what a column of a database holds
BIGGEST = 2**63 - 1
Number = Annotated[int, Path(ge=0, le=BIGGEST)]


class StepOut(Schema):
    """What happens to one object."""

    kind: str
    ident: str
    action: str
    changes: list[dict[str, Any]]


class PlanOut(Schema):
    """A plan, and the revision that it became (null: dry run, or nothing to change)."""

    summary: str
    revision: int | None
    steps: list[StepOut]
    notices: list[str]
    effect: dict[str, Any] | None = None


class RevisionOut(Schema):
    """One line of the history."""

    number: int
    summary: str
    message: str
    author: str
    created_at: str
    restores: int | None


class Change(Schema):
    """What every change carries: why, and on top of which revision it was made (409 when that is not the newest)."""

    message: str = Field("", max_length=2000)
    expected: int | None = Field(None, ge=0, le=BIGGEST)


class Paging(Schema):
    """Which part of a list."""

    limit: int = Field(200, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=BIGGEST)


class RolloutIn(Schema):
    """Waves in order, each `site=north, rack=7` or `10%`; agents of none come last. See docs/configuration.md."""

    waves: list[str] = Field(..., min_length=1, max_length=20)
    tolerated: int = Field(0, ge=0, le=BIGGEST)
    patience_seconds: float = Field(600.0, ge=0, le=LONGEST_SECONDS)
    pause_seconds: float = Field(60.0, ge=0, le=LONGEST_SECONDS)


class FileIn(Schema):
    """One YAML text with the name of the file it came from."""

    name: str = Field("configuration.yaml", max_length=500)
    content: str


class ImportIn(Change):
    """YAML files to plan or import; `replace` deletes what they do not name, `agent_id` says whose agent's files they are."""

    files: list[FileIn] = Field(..., min_length=1, max_length=500)
    replace: bool = False
    agent_id: str = Field("", max_length=100)
    rollout: RolloutIn | None = None


class ObjectIn(Change):
    """The fields of one object."""

    fields: dict[str, Any]


def terms_of(body: RolloutIn | None) -> Terms | None:
    """The terms of a rollout; None: everywhere at once. Raises Invalid naming the wave."""
    if body is None:
        return None
    return Terms(parse_waves("\n".join(body.waves)), body.tolerated, body.patience_seconds, body.pause_seconds)


def plan_out(
    plan: Plan, revision: Revision | None = None, notices: list[str] | None = None, effect: dict[str, Any] | None = None
) -> PlanOut:
    """A plan as an answer; objects that stay as they are are counted in the summary only. `effect`: who notices."""
    steps = [
        StepOut(
            kind=step.kind,
            ident=step.ident,
            action=step.action,
            changes=[{"field": change.field, "before": change.before, "after": change.after} for change in step.changes],
        )
        for step in plan.of(Action.CREATE, Action.UPDATE, Action.DELETE)
    ]
    told = [*(notices or []), *(str(notice) for notice in plan.notices)]
    number = revision.number if revision else None
    return PlanOut(summary=plan.summary(), revision=number, steps=steps, notices=told, effect=effect)


def revision_out(revision: Revision) -> RevisionOut:
    """A revision without its document."""
    return RevisionOut(
        number=revision.number,
        summary=revision.summary,
        message=revision.message,
        author=revision.author,
        created_at=revision.created_at.isoformat(),
        restores=revision.restores_id,
    )

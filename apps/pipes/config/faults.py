"""What reading and checking found: faults stop the change, notices only tell. Shown by commands, API and pages alike."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from apps.runtime.problems import Invalid


@dataclass(frozen=True)
class Fault:
    """Something that is wrong: where, what, and what to do."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" {self.fix}" if self.fix else "")


@dataclass(frozen=True)
class Notice:
    """Something to know, such as an old name that still works."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def refuse(faults: Iterable[Fault]) -> None:
    """Raise Invalid with all of the faults; nothing when there are none."""
    if found := list(faults):
        raise as_problem(found)


def as_problem(found: Sequence[Fault]) -> Invalid:
    """One or more faults as the problem to raise: it names the first, all of them are in `faults`."""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Invalid(
        f"{found[0].where}: {found[0].what}{more}",
        code="invalid_configuration",
        field=found[0].where,
        fix=found[0].fix or None,
        extra={"faults": [asdict(fault) for fault in found]},
    )

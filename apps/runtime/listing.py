"""The one frame of every list: status counts as filters, search, further filters, sort, page size, pages, all in the URL.

A page describes its list (`ListSpec`) and gives the rows it may show; `listing` cuts them down to what the URL asks for, in two
queries whatever the table holds. `console/list.html` draws it; apps.runtime.bulk carries out orders on many rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Count, Model, Q, QuerySet
from django.http import QueryDict
from django.utils.functional import Promise

M = TypeVar("M", bound=Model)
Words = str | Promise

SIZES = (25, 50, 100, 200)
SIZE = 50


@dataclass(frozen=True)
class Tab:
    """One status that is counted and filters: its name in the URL, its words, and which rows have it."""

    name: str
    words: Words
    condition: Q


@dataclass(frozen=True)
class Choice:
    """A further filter: the parameter, its words, the options as (value, words), and the column that must have the value."""

    name: str
    words: Words
    options: Sequence[tuple[str, Words]]
    column: str


@dataclass(frozen=True)
class ListSpec:
    """What a list can do. `sorts`: name in the URL → columns; the first is the usual order. `tab`: shown when the URL names none
    (empty: all). `key`: the column by which rows are picked for orders."""

    sorts: Mapping[str, tuple[str, ...]]
    search: tuple[str, ...] = ()
    search_words: Words = ""
    tabs: tuple[Tab, ...] = ()
    tab: str = ""
    choices: tuple[Choice, ...] = ()
    key: str = "pk"

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of the URL that say which rows are meant."""
        return ("q", "state", *(choice.name for choice in self.choices))


@dataclass(frozen=True)
class TabCount:
    """A tab as it is shown."""

    name: str
    words: Words
    count: int


@dataclass(frozen=True)
class Listing(Generic[M]):
    """One page of a list. `total`: rows that match; `every`: of all tabs; `kept`: parameters that a search carries on."""

    spec: ListSpec
    chunk: "Page[M]"
    total: int
    every: int
    words: str
    tab: str
    tabs: tuple[TabCount, ...]
    chosen: Mapping[str, str]
    sort: str
    size: int
    kept: Mapping[str, str] = field(default_factory=dict)
    sizes: tuple[int, ...] = SIZES

    @property
    def is_descending(self) -> bool:
        """Whether the first column of the sort runs from large to small, from new to old."""
        first = self.spec.sorts[self.sort.removeprefix("-")][0]
        return first.startswith("-") != self.sort.startswith("-")

    @property
    def is_filtered(self) -> bool:
        """Whether there may be rows that do not match; then an empty list says so instead of telling what to do first."""
        return bool(self.words or any(self.chosen.values()) or self.tab != self.spec.tab)


class _Counted(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """A paginator that was told how many rows there are."""

    def __init__(self, rows: QuerySet[M], size: int, total: int) -> None:
        super().__init__(rows, size)
        self._total = total

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self._total


def listing(rows: QuerySet[M], params: QueryDict, spec: ListSpec) -> Listing[M]:
    """The page that the URL asks for; what it asks for and is unknown here is left aside."""
    found = _searched(rows, params, spec)
    tab = tab_of(params, spec)
    counts = _counts(found, spec)
    total = counts[tab]
    sort, order = _order(params, spec)
    size = _size(params)
    ordered = _in_tab(found, tab, spec).order_by(*order)
    return Listing(
        spec=spec,
        chunk=_Counted(ordered, size, total).get_page(params.get("page")),
        total=total,
        every=counts[""],
        words=params.get("q", "").strip(),
        tab=tab,
        tabs=tuple(TabCount(item.name, item.words, counts[item.name]) for item in spec.tabs),
        chosen={choice.name: _chosen(params, choice) for choice in spec.choices},
        sort=sort,
        size=size,
        kept={name: str(value) for name, value in params.items() if name not in ("q", "page")},
    )


def matching(rows: QuerySet[M], params: QueryDict, spec: ListSpec) -> QuerySet[M]:
    """All rows that the URL's filters leave, on whatever page, in the usual order."""
    found = _in_tab(_searched(rows, params, spec), tab_of(params, spec), spec)
    return found.order_by(*next(iter(spec.sorts.values())))


def tab_of(params: QueryDict, spec: ListSpec) -> str:
    """The tab that the URL names; `all`, or a name that is none, is as the list has it."""
    named = params.get("state", spec.tab)
    if named == "all":
        return ""
    return named if any(tab.name == named for tab in spec.tabs) else spec.tab


def _searched(rows: QuerySet[M], params: QueryDict, spec: ListSpec) -> QuerySet[M]:
    words = params.get("q", "").strip()
    if words and spec.search:
        rows = rows.filter(reduce(or_, (Q(**{f"{column}__icontains": words}) for column in spec.search)))
    for choice in spec.choices:
        if value := _chosen(params, choice):
            rows = rows.filter(**{choice.column: value})
    return rows


def _chosen(params: QueryDict, choice: Choice) -> str:
    value = params.get(choice.name, "")
    return value if any(value == option for option, _ in choice.options) else ""


def _in_tab(rows: QuerySet[M], name: str, spec: ListSpec) -> QuerySet[M]:
    condition = next((tab.condition for tab in spec.tabs if tab.name == name), Q())
    return rows.filter(condition)


def _counts(rows: QuerySet[Any], spec: ListSpec) -> dict[str, int]:
    """How many rows each tab has, and all together under the empty name; one query."""
    wanted = {f"count_{number}": Count("pk", filter=tab.condition, distinct=True) for number, tab in enumerate(spec.tabs)}
    found = rows.order_by().aggregate(count_all=Count("pk", distinct=True), **wanted)
    return {"": found["count_all"]} | {tab.name: found[f"count_{number}"] for number, tab in enumerate(spec.tabs)}


def _order(params: QueryDict, spec: ListSpec) -> tuple[str, tuple[str, ...]]:
    """The sort as the URL names it (`-name` turns it round), and its columns; the primary key makes pages stable."""
    wanted = params.get("sort", "")
    name = wanted.removeprefix("-")
    if name not in spec.sorts:
        wanted = name = next(iter(spec.sorts))
    columns = spec.sorts[name]
    if wanted.startswith("-"):
        columns = tuple(column.removeprefix("-") if column.startswith("-") else f"-{column}" for column in columns)
    return wanted, (*columns, "pk")


def _size(params: QueryDict) -> int:
    text = params.get("size", "")
    return int(text) if text in {str(size) for size in SIZES} else SIZE

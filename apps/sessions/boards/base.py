"""The shape of a board, and how its parts are rendered. Used by pages (first paint, polling) and by apps.sessions.live."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from apps.runtime.console import PARTS_HEADER
from apps.sessions.sight import EVERYTHING, Sight


@dataclass(frozen=True)
class Part:
    """One live region: the id of its element, and the template that draws it from `state` alone."""

    id: str
    template: str


@dataclass(frozen=True)
class Board(ABC):
    """What one page shows of one object to all who have the same sight. Cheap: it names the object, `read` looks at it."""

    parts: ClassVar[tuple[Part, ...]]
    # whether a query key may open it, too: it tells of views only
    for_query_keys: ClassVar[bool] = False
    sight: Sight = field(default=EVERYTHING, kw_only=True)

    @property
    @abstractmethod
    def socket(self) -> str:
        """Path of the websocket that sends this board."""

    @property
    @abstractmethod
    def groups(self) -> tuple[str, ...]:
        """Groups of hints (apps.runtime.hints) that say this board changed."""

    @abstractmethod
    def read(self) -> Any:
        """The state of now: a dataclass of plain values. Raises NotFound when the object is gone, or out of sight."""


def draw(board: Board, state: Any) -> dict[str, str]:
    """Element id → HTML of every part. The same for all with this sight: nothing else depends on who looks."""
    return {part.id: render_to_string(part.template, {"state": state}) for part in board.parts}


def board_page(request: HttpRequest, board: Board, template: str, **context: Any) -> HttpResponse:
    """The page of a board; to a page that polls, the parts alone."""
    state = board.read()
    if PARTS_HEADER in request.headers:
        return JsonResponse({"parts": draw(board, state)})
    return render(request, template, {"state": state, "board": board, **context})

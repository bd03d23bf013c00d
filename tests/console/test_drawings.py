"""The drawings of the console: every transition and every connection is there, and nothing lies on anything else."""

from itertools import combinations

from apps.sessions import machine, topology
from apps.sessions.topology import Item
from fustor_schema import pipestate


def item(key: str) -> Item:
    return Item(key, key, "a note", "ok")


def test_the_machine_shows_every_state_and_every_transition() -> None:
    placed = machine.boxes({"RUNNING"})
    assert set(placed) == set(pipestate.TRANSITIONS)
    arrows = list(machine.arrows(placed))
    assert len(arrows) == sum(len(targets) for targets in pipestate.TRANSITIONS.values())
    assert [box.name for box in placed.values() if box.lit] == ["RUNNING"]


def test_no_arrow_of_the_machine_runs_through_a_third_state() -> None:
    placed = machine.boxes(())
    for state, targets in pipestate.TRANSITIONS.items():
        for target in targets:
            start, end = placed[state], placed[target]
            others = [box for box in placed.values() if box not in (start, end)]
            for step in range(1, 40):
                x = start.x + (end.x - start.x) * step / 40
                y = start.y + (end.y - start.y) * step / 40
                through = [box.name for box in others if abs(box.x - x) < machine.WIDTH / 2 and abs(box.y - y) < machine.HEIGHT / 2]
                assert not through, f"{start.name} → {end.name} runs through {through}"


def test_boxes_of_the_topology_never_overlap() -> None:
    lanes = {"agents": [item(str(n)) for n in range(17)], "pipes": [item("p")], "views": [item(str(n)) for n in range(5)]}
    drawing = topology.draw(lanes, [])
    for first, second in combinations(drawing.boxes, 2):
        assert first.x != second.x or abs(first.y - second.y) >= topology.BOX_HEIGHT
    assert max(box.y for box in drawing.boxes) + topology.BOX_HEIGHT <= drawing.height


def test_links_are_drawn_once_and_only_between_what_is_shown() -> None:
    lanes = {"receivers": [item("r")], "pipes": [item("p")]}
    link = ("receivers", "r", "pipes", "p")
    drawing = topology.draw(lanes, [link, link, ("pipes", "p", "views", "gone")])
    assert len(drawing.curves) == 1
    assert drawing.curves[0].x1 < drawing.curves[0].x2


def test_a_crowded_lane_says_how_many_are_not_drawn() -> None:
    drawing = topology.draw({"agents": [item(str(n)) for n in range(100)]}, [])
    assert len(drawing.boxes) == topology.MOST_PER_LANE
    assert drawing.hidden == 70

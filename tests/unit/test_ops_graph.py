"""The picture of a platform: what it shows is what the catalogue says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as Xml

import pytest

from infra import catalog
from ops import graph, graph_svg

SVG = "{http://www.w3.org/2000/svg}"
ENTRIES = """
postgres: {group: data, kind: postgres, port: 1100, image: postgres, memory: 384}
rabbitmq: {group: data, kind: rabbitmq, port: 1300, image: rabbitmq, memory: 384}
consul: {group: platform, kind: consul, port: 3000, image: consul, memory: 192}
kong: {group: platform, kind: kong, port: 3100, image: kong, memory: 384, needs: [postgres]}
vault: {group: platform, kind: vault, port: 3500, image: vault, memory: 384}
one: {group: application, port: 2000, needs: [rabbitmq], publishes: [a.b], routes: [{path: /one}]}
two: {group: application, port: 2100, replicas: 2, needs: [postgres, rabbitmq], consumes: ['a.*']}
idle: {group: nags, port: 2200, enabled: false}
"""


@pytest.fixture
def drawn() -> graph.Graph:
    return graph.graph("dev", catalog.load(text=ENTRIES), {"one": "healthy", "two": "unhealthy"})


@pytest.mark.parametrize(
    ("pattern", "topic", "taken"),
    [
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#.d", "a.b.c.d", True),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.b", "a.c", False),
    ],
)
def test_a_pattern_takes_the_topics_that_rabbitmq_would_route_to_it(pattern: str, topic: str, taken: bool) -> None:
    assert graph.matches(pattern, topic) is taken


def test_routes_needs_and_events_are_edges(drawn: graph.Graph) -> None:
    assert graph.Edge(graph.ROUTE, "kong", "one", "/one") in drawn.edges
    assert graph.Edge(graph.NEED, "two", "postgres") in drawn.edges
    assert [edge for edge in drawn.edges if edge.kind == graph.EVENT] == [graph.Edge(graph.EVENT, "one", "two", "a.b")]


def test_mermaid_names_every_enabled_service_once_and_no_other(drawn: graph.Graph) -> None:
    lines = graph.mermaid(drawn).splitlines()
    for service in drawn.services:
        assert sum(line.strip().startswith(f"{service.name}[") for line in lines) == 1
    assert not any("idle" in line for line in lines)
    assert '  kong -->|"/one"| one' in lines and '  one ==>|"a.b"| two' in lines
    assert "  style two stroke:#cf222e" in lines


def test_the_svg_is_whole_and_says_how_many_are_healthy(drawn: graph.Graph) -> None:
    root = Xml.fromstring(graph_svg.svg(drawn))
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert "NEXUS, stack dev: 1 of 7 healthy" in words
    assert "two  x2" in words and "/one  (user)" in words
    assert "one to two: a.b" in [element.text for element in root.iter(f"{SVG}title")]
    height = float(root.attrib["height"])
    boxes = [e for e in root.iter(f"{SVG}rect") if "y" in e.attrib]
    assert max(float(e.attrib["y"]) + float(e.attrib["height"]) for e in boxes) <= height


def test_a_name_with_markup_in_it_stays_text() -> None:
    text = ENTRIES.replace("path: /one", 'path: "/a<b>&c"')
    root = Xml.fromstring(graph_svg.svg(graph.graph("dev", catalog.load(text=text))))
    assert any("/a<b>&c" in (e.text or "") for e in root.iter(f"{SVG}text"))


def test_an_arrow_runs_between_the_cards_and_through_none() -> None:
    picture = graph.graph("dev", catalog.load())
    root = Xml.fromstring(graph_svg.svg(picture))
    cards = [e for e in root.iter(f"{SVG}rect") if e.attrib.get("rx") == "8"]
    paths = [e.attrib["d"] for e in root.iter(f"{SVG}path") if "marker-end" in e.attrib]
    assert len(cards) == len(picture.services)
    assert len(paths) == sum(edge.kind == graph.EVENT for edge in picture.edges) > 0
    for path in paths:
        for x1, y1, x2, y2 in lines(path):
            for card in cards:
                left, top = float(card.attrib["x"]), float(card.attrib["y"])
                right, bottom = left + float(card.attrib["width"]), top + float(card.attrib["height"])
                inside = max(x1, x2) > left and min(x1, x2) < right and max(y1, y2) > top and min(y1, y2) < bottom
                assert not inside, f"{path} crosses the card at {left:g},{top:g}"


def lines(path: str) -> Iterator[tuple[float, float, float, float]]:
    """The straight lines of a path of M, H and V."""
    x = y = 0.0
    for command, first, second in re.findall(r"([MHV])([\d.]+)(?: ([\d.]+))?", path):
        before = (x, y)
        x, y = (float(first) if command in "MH" else x), (float(second or first) if command in "MV" else y)
        if command != "M":
            yield (*before, x, y)

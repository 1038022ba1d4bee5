"""The picture of a platform: what it shows is what the catalogue says."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

from infra import catalog
from ops import graph, graph_svg

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
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "NEXUS, stack dev: 1 of 7 healthy" in words
    assert "two  x2" in words and "/one  (user)" in words
    assert "one to two: a.b" in [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    height = float(root.attrib["height"])
    boxes = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if "y" in e.attrib]
    assert max(float(e.attrib["y"]) + float(e.attrib["height"]) for e in boxes) <= height


def test_a_name_with_markup_in_it_stays_text() -> None:
    text = ENTRIES.replace("path: /one", 'path: "/a<b>&c"')
    root = Xml.fromstring(graph_svg.svg(graph.graph("dev", catalog.load(text=text))))
    assert any("/a<b>&c" in (e.text or "") for e in root.iter("{http://www.w3.org/2000/svg}text"))

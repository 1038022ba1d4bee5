"""The platform as an SVG: a card per service in the box of its group, what it needs as chips, events as arrows.

Every service needs the same few servers: lines for that would hide the picture, so those are chips of one colour each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from ops.graph import EVENT, GROUPS, Edge, Graph

if TYPE_CHECKING:
    from infra.entry import Service

#: Sizes in user units, which a browser shows as pixels.
CARD_WIDTH, CARD_HEIGHT, GAP, MARGIN, HEAD, COLUMNS = 232, 92, 16, 24, 34, 5
#: Where in a gap an arrow runs, so that arrows do not cover each other; the middle first.
LANES = (0, -3, 3, -6, 6, -1.5, 1.5, -4.5, 4.5)
WIDTH = 2 * MARGIN + COLUMNS * (CARD_WIDTH + GAP) + GAP
#: Primer's palette (primer.style), light.
INK, FAINT, PAPER, CARD, EDGE = "#1f2328", "#59636e", "#ffffff", "#ffffff", "#d1d9e0"
BOXES = {
    "application": "#ddf4ff",
    "nags": "#fbefff",
    "performance": "#fff8c5",
    "data": "#dafbe1",
    "platform": "#f6f8fa",
}
HEALTH = {"healthy": "#1a7f37", "starting": "#9a6700", "unhealthy": "#cf222e", "missing": "#cf222e"}
CHIPS = {
    "postgres": "#0969da",
    "redis": "#cf222e",
    "rabbitmq": "#bc4c00",
    "vault": "#6639ba",
    "elasticsearch": "#1b7c83",
}
HEAD_OF_ARROW = {
    **{"id": "head", "viewBox": "0 0 8 8", "refX": "7", "refY": "4"},
    **{"markerWidth": "7", "markerHeight": "7", "orient": "auto"},
}
LEGEND = "Chips: what a service connects to. Orange arrows: events. Paths: routes of the gateway."
FONT = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass
class Drawing:
    """What is drawn so far: the root, where each card is, and how far down the boxes reach."""

    root: Xml.Element
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    bottom: float = MARGIN

    def add(self, tag: str, **attributes: object) -> Xml.Element:
        """A shape; underscores in names become hyphens."""
        named = {key.rstrip("_").replace("_", "-"): str(value) for key, value in attributes.items()}
        return Xml.SubElement(self.root, tag, named)

    def text(self, x: float, y: float, words: str, size: int = 12, colour: str = INK, **more: object) -> None:
        """A line of text."""
        self.add("text", x=x, y=y, font_size=size, fill=colour, **more).text = words


def svg(drawn: Graph) -> str:
    """The whole picture as one document without outside references."""
    root = Xml.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": FONT})
    drawing = Drawing(root)
    title(drawing, drawn)
    for group in GROUPS:
        if members := drawn.of(group):
            box(drawing, drawn, group, members)
    for number, edge in enumerate(edge for edge in drawn.edges if edge.kind == EVENT):
        arrow(drawing, number, edge)
    height = drawing.bottom + MARGIN
    root.attrib |= {"viewBox": f"0 0 {WIDTH} {height:g}", "width": str(WIDTH), "height": f"{height:g}"}
    root.insert(0, Xml.Element("rect", {"width": "100%", "height": "100%", "fill": PAPER}))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode") + "\n"


def title(drawing: Drawing, drawn: Graph) -> None:
    """The heading, the legend and the arrow's head."""
    marker = Xml.SubElement(Xml.SubElement(drawing.root, "defs"), "marker", HEAD_OF_ARROW)
    Xml.SubElement(marker, "path", {"d": "M0 0L8 4L0 8z", "fill": CHIPS["rabbitmq"]})
    healthy = sum(state == "healthy" for state in drawn.health.values())
    known = f": {healthy} of {len(drawn.services)} healthy" if drawn.health else f": {len(drawn.services)} services"
    drawing.text(MARGIN, MARGIN + 16, f"NEXUS, stack {drawn.stack}{known}", 20, font_weight="600")
    drawing.text(MARGIN, MARGIN + 38, LEGEND, 13, FAINT)
    drawing.bottom = MARGIN + 52


def box(drawing: Drawing, drawn: Graph, group: str, members: list[Service]) -> None:
    """One group with its cards."""
    rows = -(-len(members) // COLUMNS)
    top, height = drawing.bottom + GAP, HEAD + rows * (CARD_HEIGHT + GAP)
    drawing.add("rect", x=MARGIN, y=top, width=WIDTH - 2 * MARGIN, height=height, rx=10, fill=BOXES[group])
    drawing.text(MARGIN + GAP, top + 23, group, 14, FAINT, font_weight="600")
    for number, service in enumerate(members):
        x = MARGIN + GAP + number % COLUMNS * (CARD_WIDTH + GAP)
        y = top + HEAD + number // COLUMNS * (CARD_HEIGHT + GAP)
        drawing.places[service.name] = (x, y)
        card(drawing, service, drawn.health.get(service.name), x, y)
    drawing.bottom = top + height


def card(drawing: Drawing, service: Service, health: str | None, x: float, y: float) -> None:
    """One service."""
    colour = HEALTH.get(health or "", EDGE)
    drawing.add(
        "rect", x=x, y=y, width=CARD_WIDTH, height=CARD_HEIGHT, rx=8, fill=CARD, stroke=colour, stroke_width=1.5
    )
    if health:
        drawing.add("circle", cx=x + CARD_WIDTH - 16, cy=y + 18, r=5, fill=colour)
    many = f"  x{service.replicas}" if service.replicas > 1 else ""
    drawing.text(x + 12, y + 22, service.name + many, 14, font_weight="600")
    ports = ", ".join(f":{port}" for port in service.ports.values())
    drawing.text(x + 12, y + 40, f"{ports}  {service.memory} MiB", 12, FAINT)
    if service.routes:
        route, *others = service.routes
        more = f" +{len(others)}" if others else ""
        drawing.text(x + 12, y + 57, f"{route.path}{more}  ({route.auth})", 12, CHIPS["postgres"])
    left = x + 12
    for need in service.needs:
        width = 7 * len(need) + 12
        if left + width > x + CARD_WIDTH:
            break
        drawing.add("rect", x=left, y=y + 66, width=width, height=18, rx=9, fill=CHIPS.get(need, FAINT))
        drawing.text(left + width / 2, y + 79, need, 11, PAPER, text_anchor="middle")
        left += width + 6


def arrow(drawing: Drawing, number: int, edge: Edge) -> None:
    """From the sender's card to the receiver's, between the rows and columns of cards, in a lane of its own."""
    (x1, y1), (x2, y2) = drawing.places[edge.start], drawing.places[edge.end]
    lane = LANES[number % len(LANES)]
    start_x, turn_y = x1 + CARD_WIDTH / 2 + 4 * lane, y1 + CARD_HEIGHT + GAP / 2 + lane
    turn_x, end_y = x2 - GAP / 2 + lane, y2 + CARD_HEIGHT / 2 + 4 * lane
    shape = drawing.add(
        "path",
        d=f"M{start_x:g} {y1 + CARD_HEIGHT:g}V{turn_y:g}H{turn_x:g}V{end_y:g}H{x2 - 1:g}",
        fill="none",
        stroke=CHIPS["rabbitmq"],
        stroke_width=1.5,
        stroke_linejoin="round",
        marker_end="url(#head)",
    )
    Xml.SubElement(shape, "title").text = f"{edge.start} to {edge.end}: {edge.label}"

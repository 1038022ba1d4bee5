"""`nexus logs`: what services write, merged by time, as it was or as it comes."""

from __future__ import annotations

import difflib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops import console, inputs, log_lines, log_sources, objects
from ops import since as moments
from ops.errors import BAD_INPUT, Failure
from ops.log_follow import Follower
from ops.log_lines import LEVELS, Line
from ops.log_sources import Source

if TYPE_CHECKING:
    from docker import DockerClient

#: Lines shown when neither `--tail` nor `--since` says how many.
TAIL = 100
#: Connections to the engine: one for each container that is read at the same time.
STREAMS = 100


@dataclass(frozen=True)
class Wanted:
    """Which lines: later than ``after``, at least as loud as ``level``, with ``text``; the last ``tail`` of those."""

    after: str = ""
    tail: int | None = None
    level: str | None = None
    text: str = ""

    def takes(self, line: Line) -> bool:
        """Whether a line is loud enough and has the text."""
        loud = self.level is None or LEVELS.index(line.level) >= LEVELS.index(self.level)
        return loud and line.has(self.text)

    @property
    def of_each(self) -> int | None:
        """How many lines of each source are enough; None for all, which have to be looked through."""
        return None if self.level or self.text else self.tail


def run(
    stack: str,
    services: Sequence[str],
    *,
    follow: bool = False,
    since: str | None = None,
    tail: int | None = None,
    level: str | None = None,
    as_json: bool = False,
    grep: str = "",
) -> int:
    """Print the lines. How following them ends is Ctrl-C, or a reader that has seen enough."""
    after = moments.stamp(moments.moment(since)) if since else ""
    wanted = Wanted(after, tail or (None if since else TAIL), level, grep)
    declared = [entry.name for entry in inputs.load(stack).services]
    began = time.time()
    with objects.connect(streams=STREAMS) as client:
        sources = log_sources.find(client, stack)
        if not (sources or follow):
            raise Failure(f"{stack} is not up", "the engine has no container of it", f"`./nexus up {stack}` starts it")
        own = choose(stack, services, declared, sources)
        seen: dict[str, str] = {}
        try:
            show = printer(as_json, own)
            for line in before(client, own, wanted, seen):
                show(line)
            if follow:
                follower = Follower(client, stack, lambda one: not services or one.service in services, seen, after)
                for line in filter(wanted.takes, follower.lines(own, began)):
                    show(line)
        except BrokenPipeError:
            console.mute()
        except KeyboardInterrupt:
            if not follow:
                raise
    return 0


def choose(stack: str, asked: Sequence[str], declared: Iterable[str], sources: Sequence[Source]) -> list[Source]:
    """The sources of the services that are asked for, all by default.

    Raises Failure for a service that neither the catalogue nor the engine has; of one without a container it is said.
    """
    there = {source.service for source in sources}
    known = there.union(declared)
    for name in asked:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3) or sorted(known)
            raise Failure(
                f"{stack} has no service {name!r}",
                "a service has the name that `./nexus status` shows; a helper has one, too",
                f"did you mean {', '.join(near)}?",
                BAD_INPUT,
            )
        if name not in there:
            console.say(f"{name} has no container, and so no log")
    return [source for source in sources if not asked or source.service in asked]


def before(client: DockerClient, sources: Sequence[Source], wanted: Wanted, seen: dict[str, str]) -> Iterator[Line]:
    """The lines until now; ``seen`` gets the moment of the last one of each source, by its id."""

    def note(source: Source, line: Line) -> None:
        seen[source.id] = max(line.moment, seen.get(source.id, ""))

    found = log_sources.past(client, sources, after=wanted.after, tail=wanted.of_each, note=note)
    taken = filter(wanted.takes, found)
    return taken if wanted.tail is None else iter(deque(taken, maxlen=wanted.tail))


def printer(as_json: bool, sources: Iterable[Source]) -> Callable[[Line], None]:
    """What prints a line: coloured for a terminal, plain and fast for a pipe."""
    if as_json:
        return lambda line: console.write(log_lines.as_json(line))
    width = max((len(source.name) for source in sources), default=0)
    if not console.out().is_terminal:
        return lambda line: console.write("".join(text for text, _ in log_lines.parts(line, width)))
    from rich.text import Text

    return lambda line: console.out().print(Text.assemble(*log_lines.parts(line, width)), soft_wrap=True)

"""What Alertmanager does not tell: what follows from another alert, and what the catalogue silences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.alertmanager import Inhibition, Silence
from infra.entry import Service

#: Nobody answers: what then goes wrong with those who need it follows from that.
DOWN = 'alertname=~"ServiceDown|ServiceUnreachable|VaultSealed"'
#: The kinds that every application looks for without naming them in its needs; it goes on for a time without them.
COMMON = ("vault", "consul")


def inhibitions(entries: Sequence[Service]) -> tuple[Inhibition, ...]:
    """A critical alert hides warnings of the same service, and one that is down what its dependants say.

    Dependants are those who name it in their ``needs``, directly or by others. Of Vault and Consul, which all have
    and nobody names, only that they are not reached follows.
    """
    return (
        Inhibition(source=('severity="critical"',), target=('severity="warning"',), equal=("service",)),
        *(rule for entry in entries for rule in _of(entry, entries)),
    )


def _of(entry: Service, entries: Sequence[Service]) -> Iterator[Inhibition]:
    source = (DOWN, f'service="{entry.name}"')
    if needing := dependants(entry.name, entries):
        yield Inhibition(source=source, target=(f'service=~"{"|".join(needing)}"',))
    if entry.kind in COMMON:
        yield Inhibition(source=source, target=('alertname="DependencyDown"', f'dependency="{entry.kind}"'))


def dependants(name: str, entries: Sequence[Service]) -> list[str]:
    """Who needs a service, directly or by others, in alphabetical order."""
    found: set[str] = set()
    asked = [name]
    while asked:
        needed = asked.pop()
        new = {entry.name for entry in entries if needed in entry.needs} - found
        found |= new
        asked += new
    return sorted(found)


def silences(entries: Sequence[Service]) -> tuple[Silence, ...]:
    """The alerts that entries silence."""
    return tuple(Silence(service=e.name, alerts=e.alerts.silenced) for e in entries if e.alerts.silenced)

"""A recording engine: declare resources, get back what was registered. No plugin, no server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import wait_for_rpcs


@dataclass
class Registered:
    """One resource as the engine saw it."""

    type: str
    name: str
    inputs: dict[str, Any]
    provider: str


@dataclass
class Recorder(mocks.Mocks):
    """Gives every resource an id, and remembers it."""

    resources: list[Registered] = field(default_factory=list)
    protected: set[str] = field(default_factory=set)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(Registered(args.typ, args.name, unwrapped(args.inputs), args.provider))
        outputs = dict(args.inputs)
        if args.typ == "nexus:index:GeneratedSecret":
            outputs["value"] = f"secret-of-{args.name}"
        if args.typ == "nexus:index:Files":
            outputs |= {"digest": f"digest-of-{args.name}", "revision": f"revision-of-{args.name}"}
        if args.typ == "docker:index/remoteImage:RemoteImage":
            outputs["imageId"] = f"sha256:{args.inputs['name']}"
        if args.typ.startswith("vault:pkiSecret/"):
            made = ("certificate", "issuingCa", "privateKey", "csr", "certificateBundle")
            outputs |= {part: f"{part}-of-{args.name}" for part in made if part not in outputs}
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"a component must not call {args.token} while it is declared")

    def of(self, type_name: str) -> list[Registered]:
        """What was registered of a type."""
        return [r for r in self.resources if r.type == type_name]

    def one(self, name: str) -> Registered:
        """The one resource of a name; components and custom resources have names of their own."""
        found = [r for r in self.resources if r.name == name]
        assert len(found) == 1, f"{len(found)} resources named {name}: {[r.name for r in self.resources]}"
        return found[0]


class Monitor(mocks.MockMonitor):
    """Notes what Pulumi's own leaves out of what it tells the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the engine's name for it
        if request.protect:
            self.recorder.protected.add(request.name)
        return super().RegisterResource(request)


def unwrapped(value: Any) -> Any:
    """Inputs without the envelopes that mark secrets on the wire (a dict with a signature key and the value)."""
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return unwrapped(value["value"])
        return {key: unwrapped(inner) for key, inner in value.items()}
    return [unwrapped(inner) for inner in value] if isinstance(value, list) else value


def declare(program: Callable[[], object], stack: str = "dev", config: dict[str, str] | None = None) -> Recorder:
    """Run ``program`` as a Pulumi program would run, and return what it registered."""
    recorder = Recorder()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    set_root_resource(None)  # type: ignore[arg-type]  # a new one for each program: transformations stay with it
    mocks.set_mocks(recorder, project="nexus", stack=stack, preview=False, monitor=Monitor(recorder))
    pulumi.runtime.set_all_config(config or {})

    async def run() -> None:
        program()
        await wait_for_rpcs()

    try:
        loop.run_until_complete(run())
        return recorder
    finally:
        abandon(loop)
        loop.close()
        asyncio.set_event_loop(None)


def abandon(loop: asyncio.AbstractEventLoop) -> None:
    """End what a refused program has begun: Pulumi would wait for it in the next one, whose loop is another."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    pulumi.runtime.settings.SETTINGS.outputs.clear()
    pulumi.runtime.settings.SETTINGS.rpc_manager.clear()

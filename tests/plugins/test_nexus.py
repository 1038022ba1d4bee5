"""The local provider: its rules for inputs, and its effect on a real engine."""

from __future__ import annotations

import io
import tarfile
import time
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container, ContainerCollection
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

pytestmark = pytest.mark.usefixtures("importable")
URN = "urn:pulumi:dev::nexus::nexus:index:Postgres${}::one"
SECRET, FILES, EXEC = (f"nexus:index:{name}" for name in ("GeneratedSecret", "Files", "Exec"))


@pytest.fixture
def nexus():
    from provider import NexusProvider

    return NexusProvider()


def wrap(value: object) -> PropertyValue:
    if isinstance(value, dict):
        return PropertyValue({key: wrap(item) for key, item in value.items()})
    if isinstance(value, list):
        return PropertyValue([wrap(item) for item in value])
    return PropertyValue(float(value) if isinstance(value, int) else value)  # type: ignore[arg-type]


def properties(**values: object) -> dict[str, PropertyValue]:
    return {name: wrap(value) for name, value in values.items()}


async def checked(nexus, kind: str, **inputs: object) -> protocol.CheckResponse:
    return await nexus.check(protocol.CheckRequest(URN.format(kind), {}, properties(**inputs), b""))


async def differing(nexus, kind: str, old: dict, new: dict) -> protocol.DiffResponse:
    return await nexus.diff(protocol.DiffRequest(URN.format(kind), "id", properties(**old), properties(**new), []))


EXEC_INPUTS = {"container": "c", "containerId": "1", "command": ["true"]}


@pytest.mark.parametrize(
    ("kind", "inputs", "field", "reason"),
    [
        (SECRET, {"lenght": 20}, "lenght", "did you mean 'length'?"),
        (SECRET, {"length": 4}, "length", "must be 16-128 characters, got 4"),
        (SECRET, {"length": "20"}, "length", "must be float, got str"),
        (EXEC, {**EXEC_INPUTS, "command": []}, "command", "must name a command"),
        (EXEC, {**EXEC_INPUTS, "timeout": 0}, "timeout", "must be 1-3600 seconds, got 0"),
        (EXEC, {"container": "c"}, "command", "missing required field 'command'"),
        (FILES, {"volume": "v"}, "files", "missing required field 'files'"),
    ],
)
async def test_a_wrong_input_is_refused_by_its_name(nexus, kind: str, inputs: dict, field: str, reason: str) -> None:
    failures = {f.property: f.reason for f in (await checked(nexus, kind, **inputs)).failures}
    assert reason in failures[field]


async def test_defaults_are_filled_and_unknown_values_pass(nexus) -> None:
    response = await checked(nexus, EXEC, **{**EXEC_INPUTS, "containerId": UNKNOWN})
    assert not response.failures
    assert response.inputs["timeout"].value == 120.0


async def test_a_secret_is_made_once_of_letters_and_digits_and_is_unknown_in_a_preview(nexus) -> None:
    inputs = properties(length=40)
    made = [await nexus.create(protocol.CreateRequest(URN.format(SECRET), inputs, 0, False)) for _ in range(2)]
    values = [response.properties["value"] for response in made]
    assert all(v.is_secret and len(v.value) == 40 and v.value.isalnum() for v in values)
    assert values[0].value != values[1].value
    planned = await nexus.create(protocol.CreateRequest(URN.format(SECRET), inputs, 0, True))
    assert planned.properties["value"].value == UNKNOWN and planned.properties["value"].is_secret


async def test_the_next_secret_is_another_one_that_its_preview_and_its_plan_know(nexus) -> None:
    urn, seed = URN.format(SECRET), bytes(range(32))
    first = (await nexus.create(protocol.CreateRequest(urn, properties(length=40), 0, False))).properties

    async def next_of(seed: bytes, state: dict, before: dict, preview: bool = True) -> tuple[dict, Any]:
        new = properties(length=40, keepers={"generation": "1"})
        inputs = (await nexus.check(protocol.CheckRequest(urn, before, new, seed))).inputs
        updated = await nexus.update(protocol.UpdateRequest(urn, "id", state, inputs, 0, [], preview))
        return inputs, updated.properties["value"]

    inputs, planned = await next_of(seed, first, properties(length=40))
    assert planned.is_secret and inputs["nonce"].is_secret
    assert len(planned.value) == 40 and planned.value.isalnum() and planned.value != first["value"].value
    assert (await next_of(seed, first, properties(length=40), False))[1].value == planned.value, "by the same plan"
    assert (await next_of(bytes(32), first, properties(length=40)))[1].value != planned.value, "by another one"
    other = {**first, "value": PropertyValue("x" * 40, is_secret=True)}
    assert (await next_of(seed, other, properties(length=40)))[1].value != planned.value, "of another one"
    same = await nexus.check(protocol.CheckRequest(urn, inputs, {**inputs, "nonce": PropertyValue(None)}, bytes(32)))
    assert same.inputs["nonce"].value == inputs["nonce"].value, "it stays as long as its keepers do"
    differs = await nexus.diff(protocol.DiffRequest(urn, "id", {**first, **properties(length=40)}, inputs, []))
    assert (differs.diffs, differs.replaces) == (["keepers"], [])


async def test_a_diff_names_what_changed_and_what_replaces(nexus) -> None:
    replaced = await differing(nexus, SECRET, {"length": 32, "value": "x"}, {"length": 40})
    assert (replaced.changes, replaced.replaces) == (True, ["length"])
    updated = await differing(nexus, EXEC, EXEC_INPUTS, {**EXEC_INPUTS, "containerId": "2"})
    assert (updated.diffs, updated.replaces) == (["containerId"], [])
    same = await differing(nexus, FILES, {"files": {"a": "1"}, "image": "x"}, {"files": {"a": "1"}, "image": "y"})
    assert same.changes is False, "another image to fill from is no change of the files"


@pytest.fixture
def container(client: docker.DockerClient, image: str) -> Iterator[Container]:
    made = client.containers.run(image, ["sleep", "600"], name=f"xnexus-{uuid.uuid4().hex[:8]}", detach=True, init=True)
    yield made
    made.remove(force=True)


def test_a_command_is_repeated_until_it_succeeds_and_gets_its_input(container: Container) -> None:
    from execute import execute

    script = "cat > /tmp/input; n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n + 1)) > /tmp/n; [ $n -ge 2 ]"
    execute(container.name, ["sh", "-c", script], "the input", 20)
    assert container.exec_run(["cat", "/tmp/input"]).output == b"the input"
    assert container.exec_run(["cat", "/tmp/n"]).output == b"3\n"


def test_a_command_that_never_succeeds_is_explained_without_its_input(container: Container) -> None:
    from execute import NotReadyError, execute

    with pytest.raises(NotReadyError) as failure:
        execute(container.name, ["sh", "-c", "cat; echo not yet; exit 1"], "ALTER ROLE x PASSWORD 'hunter2';\n", 1)
    text = str(failure.value)
    assert "was not ready after 1 s (running, 0 restarts)" in text and "not yet" in text
    assert "hunter2" not in text


def test_a_container_that_is_not_there_is_said_at_once() -> None:
    from execute import NotReadyError, execute

    with pytest.raises(NotReadyError, match="xnexus-none does not exist"):
        execute("xnexus-none", ["true"], "", 30)


def test_files_live_in_a_volume_readable_by_their_owner_alone(client: docker.DockerClient, image: str) -> None:
    from files import Files

    kind, name = Files(), f"xnexus-{uuid.uuid4().hex[:8]}"
    inputs = properties(volume=name, labels={"a": "b"}, image=image, owner="999:998", files={"x": "one", "y": "two"})
    client.containers.create(image, name=f"{name}-filler")  # left by a killed run
    try:
        state = {**inputs, **kind.create(inputs)}
        holder = client.containers.create(image, volumes={name: {"bind": "/v", "mode": "ro"}})
        data = b"".join(holder.get_archive("/v")[0])
        holder.remove()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            entries = {e.name: e for e in tar.getmembers() if e.isfile()}
        assert {n: (e.uid, e.gid, e.mode & 0o777) for n, e in entries.items()} == {
            "v/x": (999, 998, 0o400),
            "v/y": (999, 998, 0o400),
        }
        assert all(time.time() - e.mtime < 60 for e in entries.values()), "a server sees when a file was written"
        assert kind.exists(state)
        assert state["digest"].value == kind.planned(inputs, {})["digest"].value
        client.volumes.get(name).remove()
        assert not kind.exists(state)
        client.volumes.create(name, labels={"a": "b"})
        assert not kind.exists(state), "an empty volume of the same name is another one"
        kind.delete(state)
        kind.delete(state)
        assert not [v for v in client.volumes.list() if v.name == name]
    finally:
        for leftover in client.containers.list(all=True, filters={"name": name}):
            leftover.remove(force=True)


def test_no_nameless_volume_is_left_of_an_image_that_asks_for_one(
    client: docker.DockerClient, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from files import Files

    name, kind, mounted = f"xnexus-{uuid.uuid4().hex[:8]}", Files(), set[str]()
    create = ContainerCollection.create

    def remembered(*arguments: Any, **settings: Any) -> Container:
        made = create(*arguments, **settings)
        made.reload()
        mounted.update(mount["Name"] for mount in made.attrs["Mounts"])
        return made

    monkeypatch.setattr(ContainerCollection, "create", remembered)
    client.images.build(fileobj=io.BytesIO(f"FROM {image}\nVOLUME /data\n".encode()), tag=f"{name}:1", rm=True)
    inputs = properties(volume=name, labels={}, image=f"{name}:1", owner="999:998", files={"x": "one"})
    try:
        state = {**inputs, **kind.create(inputs)}
        assert len(mounted) == 2 and mounted & {volume.name for volume in client.volumes.list()} == {name}
        kind.delete(state)
    finally:
        client.images.remove(f"{name}:1")


def test_a_live_file_has_a_digest_of_its_own() -> None:
    from files import Files

    def digests(**files: str) -> list[object]:
        planned = Files().planned(properties(files=files, live=["users"]), {})
        return [planned[key].value for key in ("digest", "revision")]

    first, users, conf = digests(users="1", conf="1"), digests(users="2", conf="1"), digests(users="1", conf="2")
    assert first[0] == users[0] and first[1] != users[1]
    assert first[0] != conf[0] and first[1] == conf[1]
    assert digests(users=UNKNOWN, conf="1") == [first[0], UNKNOWN]
    assert Files().planned(properties(files=UNKNOWN), {})["digest"].value == UNKNOWN


def test_the_digest_changes_with_a_name_and_with_a_content() -> None:
    from files import digest

    digests = [digest(files) for files in ({"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": ""}, {})]
    assert len(set(digests)) == len(digests)

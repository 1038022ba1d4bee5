"""Every resource type through its life, against a real server, by the provider protocol alone.

Against an official plugin: `pytest tests/plugins --plugin-binary kong=/path/to/pulumi-resource-kong`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.plugins import cases
from tests.plugins.cases import Case
from tests.plugins.driver import UNKNOWN, Plugin, Rejected, Resource, bare, is_secret, secret
from tests.plugins.servers import Server


def every(*need: str) -> Any:
    return pytest.mark.parametrize("token", cases.tokens(*need))


class Life:
    """One type under test: its case, its plugin and server, and the resources to clean up."""

    def __init__(self, token: str, plugin: Plugin, server: Server):
        self.plugin, self.server, self.token = plugin, server, token
        self.made: list[Resource] = []
        raw, unique = cases.table()[token], cases.unique()
        self.case = Case(token, raw, unique, {})
        ids = {}
        for name, (kind, inputs) in raw.get("needs", {}).items():
            ids[name] = self.make(kind, self.case.fill(inputs)).id
        self.case = Case(token, raw, unique, ids)

    def make(self, token: str, inputs: dict[str, Any]) -> Resource:
        resource = self.plugin.make(token, f"test-{self.case.unique}", inputs)
        self.made.append(resource)
        return resource

    def born(self) -> Resource:
        return self.make(self.token, self.case.inputs)

    def by_hand(self, of: Resource, request: str, body: Any = None) -> None:
        method, path = self.case.fill(request, of).split(" ")
        self.server.call(method, path, self.case.fill(body, of))

    def end(self) -> None:
        for resource in reversed(self.made):
            self.plugin.delete(resource)


@pytest.fixture
def life(token: str, bench: Callable[[str], Any]) -> Iterator[Life]:
    place = bench(token.partition(":")[0])
    life = Life(token, place.plugin, place.server)
    yield life
    life.end()


@every("bad")
def test_bad_input_is_refused_with_the_name_of_the_property(life: Life) -> None:
    for name, value, word in life.case.bad:
        with pytest.raises(Rejected) as refused:
            life.plugin.check(Resource(life.token, "bad", {}), life.case.changed({name: value}))
        text = str(refused.value)
        assert word.lower() in text.lower(), f"{name}={value!r}: {text}"
        assert name in text


@every("inputs")
def test_a_secret_of_the_wrong_type_is_not_shown(life: Life) -> None:
    name = next(iter(life.case.inputs))
    with pytest.raises(Rejected) as refused:
        life.plugin.check(Resource(life.token, "bad", {}), life.case.inputs | {name: secret(["hush-hush"])})
    assert "hush-hush" not in str(refused.value)


@every("inputs")
def test_create_gives_id_and_outputs(life: Life) -> None:
    resource = life.born()
    outputs = bare(resource.outputs)
    for name, wanted in {**life.case.inputs, **(life.case.outputs or {})}.items():
        assert cases.same(wanted, outputs.get(name)) or life.case.raw.get("outputs", {}).get(name) == "*", name
    for path, wanted in (life.case.nested or {}).items():
        found: Any = outputs
        for step in path.split("."):
            found = found[step]
        assert found == wanted, path
    pattern = re.escape(life.case.id or "*").replace(r"\*", ".+")
    assert re.fullmatch(pattern, resource.id)
    for path in life.case.secret or ():
        assert is_secret(inside(resource.outputs, path)), f"{path} is not secret in the state"
        given = inside(resource.inputs, path)
        assert given is None or is_secret(given), f"{path} is not secret among the inputs"


def inside(values: Any, path: str) -> Any:
    for step in path.split("."):
        values = values.get(step) if isinstance(values, dict) else None
    return values


@every("inputs")
def test_a_preview_creates_nothing_and_foresees_the_outputs(life: Life) -> None:
    before = Resource(life.token, "preview", {})
    inputs = life.plugin.check(before, life.case.inputs)
    foreseen = life.plugin.create(before, inputs, preview=True)
    created = bare(life.born().outputs)
    for name, value in bare(foreseen).items():
        assert name not in created or foreseen_right(value, created[name]), name
    assert set(life.case.outputs or ()) <= set(foreseen)


def foreseen_right(foreseen: Any, created: Any) -> bool:
    """Whether the preview was right in all that it claimed to know."""
    if foreseen == UNKNOWN:
        return True
    if isinstance(foreseen, dict):
        return all(foreseen_right(value, created.get(key)) for key, value in foreseen.items())
    if isinstance(foreseen, list):
        return len(foreseen) == len(created) and all(map(foreseen_right, foreseen, created))
    return cases.same(foreseen, created)


@every("inputs")
def test_an_unknown_input_passes_check_and_shows_as_a_change(life: Life) -> None:
    resource = life.born()
    name = list(life.case.inputs)[1] if len(life.case.inputs) > 1 else next(iter(life.case.inputs))
    news = life.plugin.check(resource, life.case.inputs | {name: UNKNOWN}, resource.inputs)
    assert any(path.startswith(name) for path in life.plugin.diff(resource, news).paths)


@every("inputs")
def test_the_same_inputs_again_are_no_change(life: Life) -> None:
    resource = life.born()
    again = life.plugin.check(resource, life.case.inputs, resource.inputs)
    assert life.plugin.diff(resource, again).empty
    refreshed = life.plugin.read(resource)
    assert refreshed
    assert bare(refreshed.outputs) == bare(resource.outputs)
    assert life.plugin.diff(refreshed, again).empty


@every("same")
def test_the_same_meaning_in_other_words_is_no_change(life: Life) -> None:
    resource = life.born()
    again = life.plugin.check(resource, life.case.changed(life.case.raw["same"]), resource.inputs)
    assert life.plugin.diff(resource, again).paths == {}


@every("update")
def test_an_update_changes_in_place_and_then_nothing_more(life: Life) -> None:
    resource = life.born()
    old_id = resource.id
    changed = life.case.changed(life.case.raw["update"])
    news = life.plugin.check(resource, changed, resource.inputs)
    difference = life.plugin.diff(resource, news)
    assert {re.split(r"[.\[]", path)[0] for path in difference.paths} == set(life.case.raw["update"])
    assert difference.replaces == []
    life.plugin.update(resource, news, preview=True)
    life.plugin.update(resource, news)
    assert life.plugin.diff(resource, news).empty
    refreshed = life.plugin.read(resource)
    assert refreshed
    assert refreshed.id == old_id
    assert life.plugin.diff(refreshed, news).empty


@every("replace")
def test_some_changes_replace(life: Life) -> None:
    resource = life.born()
    replace = life.case.replace
    news = life.plugin.check(resource, life.case.changed(replace["set"]), resource.inputs)
    difference = life.plugin.diff(resource, news)
    assert difference.replaces == replace["properties"]
    assert difference.deletes_first == replace["deletes_first"]
    if replace["deletes_first"]:
        life.plugin.delete(resource)
        life.made.remove(resource)
    successor = life.make(life.token, life.case.changed(replace["set"]))
    if not replace["deletes_first"]:
        life.plugin.delete(resource)
        life.made.remove(resource)
    assert life.plugin.read(successor), "deleting the old one took the new one with it"


@every("drift")
def test_a_refresh_sees_what_was_changed_by_hand_and_an_update_repairs_it(life: Life) -> None:
    resource = life.born()
    drift = life.case.raw["drift"]
    life.by_hand(resource, drift["call"], drift["body"])
    seen = life.plugin.read(resource)
    assert seen
    wanted = life.plugin.check(seen, life.case.inputs, seen.inputs)
    assert any(path.startswith(drift["shows"]) for path in life.plugin.diff(seen, wanted).paths)
    assert bare(seen.inputs) != bare(resource.inputs)
    life.plugin.update(seen, wanted) if "update" in life.case.raw else life.plugin.delete(seen)
    repaired = life.plugin.read(seen) if "update" in life.case.raw else life.born()
    assert repaired
    assert life.plugin.diff(repaired, wanted).empty


@every("remove")
def test_an_object_deleted_by_hand_is_gone_and_can_be_made_again(life: Life) -> None:
    resource = life.born()
    life.by_hand(resource, life.case.raw["remove"], life.case.raw.get("remove_body"))
    assert life.plugin.read(resource) is None
    assert life.plugin.read(life.born())


@every("remove", "update")
def test_updating_an_object_deleted_by_hand_fails_or_makes_it_again(life: Life) -> None:
    resource = life.born()
    life.by_hand(resource, life.case.raw["remove"], life.case.raw.get("remove_body"))
    news = life.plugin.check(resource, life.case.changed(life.case.raw["update"]), resource.inputs)
    try:
        life.plugin.update(resource, news)
    except grpc.RpcError as error:
        assert "not" in error.details().lower()  # type: ignore[attr-defined]
    else:
        assert life.plugin.read(resource)


@every("import")
def test_an_import_finds_what_was_declared(life: Life) -> None:
    resource = life.born()
    found = life.plugin.read(Resource(life.token, "imported", {}, life.case.fill(life.case.raw["import"], resource)))
    assert found
    assert found.id == resource.id
    absent = life.case.raw.get("imports_without", [])
    for name, value in life.case.inputs.items():
        assert name in [*absent, *life.case.raw.get("imports_loosely", [])] or cases.same(
            value, bare(found.inputs).get(name)
        ), name
    declared = bare(found.inputs) | {name: life.case.inputs[name] for name in absent}
    changed = life.plugin.diff(found, life.plugin.check(found, declared, found.inputs)).paths
    assert {re.split(r"[.\[]", path)[0] for path in changed} <= set(absent)


@every("import")
def test_an_import_of_nothing_finds_nothing(life: Life) -> None:
    resource = life.born()
    id_ = life.case.fill(life.case.raw["import"], resource)
    life.plugin.delete(resource)
    found = life.plugin.read(Resource(life.token, "imported", {}, id_))
    assert found is None or life.token.endswith("KeyPrefix")


@every("inputs")
def test_delete_removes_and_a_second_delete_is_no_error(life: Life) -> None:
    resource = life.born()
    life.plugin.delete(resource)
    gone = life.plugin.read(resource)
    assert gone is None or life.case.stays or not bare(gone.outputs)["subkeys"]
    life.plugin.delete(resource)

"""A state is sound or it is not, and what differs between two: on documents as the engine writes them."""

import hashlib

import pytest

from ops import credentials, states

URN = "urn:pulumi:dev::nexus::"
IMAGE, VOLUME = "docker:index/remoteImage:RemoteImage", "docker:index/volume:Volume"


def resource(token, name, identity="x", **more):
    return {"urn": f"{URN}{token}::{name}", "type": token, "custom": True, "id": identity, **more}


def urn(name, token="t:index:T"):
    return f"{URN}{token}::{name}"


def state(*resources, **deployment):
    version = "v3.259.0"
    manifest = {"version": version, "magic": hashlib.sha256(version.encode()).hexdigest()}
    return {"version": 3, "deployment": {"manifest": manifest, "resources": list(resources), **deployment}}


PROVIDER = resource("pulumi:providers:docker", "docker", "p1")
SOUND = (
    resource("pulumi:pulumi:Stack", "nexus-dev", "", custom=False),
    PROVIDER,
    resource("t:index:T", "a", parent=urn("nexus-dev", "pulumi:pulumi:Stack"), provider=f"{PROVIDER['urn']}::p1"),
    resource("t:index:T", "b", dependencies=[urn("a")], propertyDependencies={"x": [urn("a")], "y": None}),
    resource("t:index:T", "b", "old", delete=True),
)


def test_a_sound_state_has_no_problems():
    assert states.problems(state(*SOUND)) == []
    assert states.problems(state()) == []


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        (resource("t:index:T", "a"), "a: is there twice"),
        (resource("t:index:T", "c", parent=urn("gone")), "c: its parent gone is not there before it"),
        (resource("t:index:T", "c", dependencies=[urn("gone")]), "c: it depends on gone, which is not there before it"),
        (resource("t:index:T", "c", propertyDependencies={"x": [urn("gone")]}), "c: it depends on gone"),
        (resource("t:index:T", "c", deletedWith=urn("gone")), "c: it depends on gone"),
        (resource("t:index:T", "c", provider=f"{PROVIDER['urn']}::another"), "c: its provider docker is not there"),
        (resource("t:index:T", "c", ""), "c: has no id"),
        ({"type": "t:index:T"}, "without a URN"),
    ],
)
def test_what_contradicts_itself_is_named(planted, words):
    (problem,) = states.problems(state(*SOUND, planted))
    assert words in problem


def test_what_comes_before_what_it_needs_is_named():
    assert states.problems(state(*SOUND[:2], *SOUND[3:], SOUND[2])) == [
        "b: it depends on a, which is not there before it"
    ]


def test_a_manifest_that_was_changed_by_hand_and_a_missing_deployment_are_named():
    changed = state(*SOUND)
    changed["deployment"]["manifest"]["version"] = "v3.260.0"
    assert "changed by hand" in states.problems(changed)[0]
    assert states.problems({"version": 3}) == ["it has no deployment"]


def test_unfinished_operations_are_named():
    pending = [{"type": "creating", "resource": resource("t:index:T", "c")}]
    assert states.unfinished(state(*SOUND, pending_operations=pending)) == ["creating c"]


def test_the_difference_of_two_states_is_by_what_became_of_each_resource():
    before = state(
        resource("t:index:T", "same", inputs={"a": 1}),
        resource("t:index:T", "updated", inputs={"a": 1, "__defaults": []}),
        resource("t:index:T", "replaced", "id-1", inputs={"a": 1}),
        resource("t:index:T", "deleted"),
    )
    after = state(
        resource("t:index:T", "same", inputs={"a": 1}),
        resource("t:index:T", "updated", inputs={"a": 2, "b": 1, "__defaults": ["b"]}),
        resource("t:index:T", "replaced", "id-2", inputs={"a": 1}),
        resource("t:index:T", "created"),
    )
    found = states.compare(before, after)
    assert [(one.op, one.name, one.properties) for one in found] == [
        ("create", "created", ()),
        ("delete", "deleted", ()),
        ("replace", "replaced", ()),
        ("update", "updated", ("a", "b")),
    ]
    assert states.counts(found) == {"create": 1, "delete": 1, "replace": 1, "update": 1}
    assert states.compare(after, after) == [] and states.compare({}, {}) == []


def test_a_secret_that_is_only_encrypted_again_is_no_difference():
    def sealed(text):
        secret = {credentials.MARK: credentials.SECRET, "ciphertext": text}
        return state(resource("t:index:T", "a", inputs={"files": [{"password": secret}], "plain": 1}))

    assert states.compare(sealed("v1:first"), sealed("v1:second")) == []


def test_what_the_engine_adds_by_itself_is_no_difference():
    def default(value):
        return state(SOUND[0], resource("pulumi:providers:nexus", "default", inputs={"services": value}))

    assert states.compare(default("{}"), default("{...}")) == [] and states.living(default("{}")) == {}


def test_images_and_volumes_are_those_of_the_living_resources():
    found = state(
        resource(IMAGE, "redis-image", inputs={"name": "redis:7"}, outputs={"imageId": "sha256:1"}),
        resource(IMAGE, "old-image", delete=True, inputs={"name": "redis:6"}, outputs={"imageId": "sha256:0"}),
        resource(VOLUME, "redis-data", "nexus-dev-redis-data"),
    )
    assert states.images(found) == {"redis:7": "sha256:1"}
    assert states.volumes(found) == ["nexus-dev-redis-data"]


def test_a_packed_state_is_the_same_whatever_the_order_of_its_keys():
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert states.packed(one) == states.packed(other)
    digest, content = states.packed(one)
    assert states.unpacked(content, digest) == one

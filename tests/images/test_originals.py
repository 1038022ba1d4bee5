"""Originals: pulled from a registry (a local double) and pinned by digest."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import docker
import pytest
from ruamel.yaml import YAML

from infra import images
from ops import image_builder, image_pull
from ops import images as verb
from ops.errors import Failure
from tests.images import registry as double
from tests.images.conftest import packed

pytestmark = pytest.mark.engine


@pytest.fixture
def hub(engine, monkeypatch):
    """A registry that has one image of the platform, `redis`; the engine itself does not have it."""
    key = uuid.uuid4().hex[:8]
    made = engine.api.import_image_from_data(packed({"hello": key}), f"nexus-test-{key}", "1", changes=["CMD hello"])
    assert "sha256" in made
    name = f"nexus-test-{key}:1"
    pulled: list[str] = []
    with double.serve() as served:
        digest = served.push(engine, name, "library/redis", "7.0.15")
        engine.images.remove(name)
        row = images.Image(name="redis", version="7.0", upstream="library/redis:7.0.15", base=None)
        known = {"redis": row}
        monkeypatch.setattr(images, "load", lambda: known)
        monkeypatch.setattr(image_pull.wait_exponential, "__call__", lambda *_: 0.05)
        images.reference.cache_clear()

        def use(upstream):
            known["redis"] = row.model_copy(update={"upstream": upstream})
            images.reference.cache_clear()
            pulled.append(images.reference("redis", "upstream", served.address))
            return pulled[-1]

        use(row.upstream)
        yield SimpleNamespace(registry=served, address=served.address, digest=digest, use=use)
    images.reference.cache_clear()
    for reference in pulled:
        try:
            engine.images.remove(reference, force=True)
        except docker.errors.ImageNotFound:
            continue


def ensure(hub):
    lines: list[str] = []
    image_builder.ensure(["redis"], "upstream", lines.append, hub.address)
    return lines


def test_an_original_is_pulled_once_through_the_mirror_of_the_settings(hub, engine):
    assert image_builder.missing(["redis"], "upstream", hub.address) == ["redis"]
    assert ensure(hub) == [f"pulling {hub.address}/library/redis:7.0.15"]
    assert image_builder.missing(["redis"], "upstream", hub.address) == []
    seen = len(hub.registry.requests)
    assert ensure(hub) == []
    assert len(hub.registry.requests) == seen
    assert engine.images.get(f"{hub.address}/library/redis:7.0.15").attrs["Config"]["Cmd"][-1] == "hello"


def test_an_original_pinned_by_digest_is_pulled_by_it_and_then_found(hub):
    hub.use(f"library/redis:7.0.15@{hub.digest}")
    ensure(hub)
    assert any(request.endswith(f"/manifests/{hub.digest}") for request in hub.registry.requests)
    assert image_builder.missing(["redis"], "upstream", hub.address) == []


def test_a_registry_that_stumbles_is_asked_again(hub):
    hub.registry.failures = 2
    lines = ensure(hub)
    assert any("again (attempt 2)" in line for line in lines)
    assert image_builder.missing(["redis"], "upstream", hub.address) == []


def test_a_registry_that_stays_down_ends_with_what_to_do(hub):
    hub.registry.failures = 1000
    with pytest.raises(Failure) as failed:
        ensure(hub)
    assert "could not be pulled" in failed.value.what
    assert "500" in failed.value.why
    assert "--source local" in failed.value.remedy


def test_a_tag_that_does_not_exist_is_not_asked_for_again(hub):
    hub.use("library/redis:9.9")
    with pytest.raises(Failure) as failed:
        ensure(hub)
    assert f"{hub.address}/library/redis:9.9" in failed.value.what
    assert "infra/images.yaml" in failed.value.remedy
    assert sum(request.endswith("/manifests/9.9") for request in hub.registry.requests) <= 2


def test_a_pinned_digest_that_is_gone_says_how_to_pin_anew(hub):
    hub.use(f"library/redis:7.0.15@sha256:{'1' * 64}")
    with pytest.raises(Failure, match="images pin"):
        ensure(hub)


def test_content_that_is_not_what_was_pinned_is_refused(hub):
    hub.use(f"library/redis:7.0.15@{hub.digest}")
    hub.registry.lies[hub.digest] = hub.registry.blobs[hub.digest] + b" "
    with pytest.raises(Failure, match="do not trust it"):
        ensure(hub)
    assert image_builder.missing(["redis"], "upstream", hub.address) == ["redis"]


def test_a_registry_that_is_not_there_says_so(hub):
    with pytest.raises(Failure) as failed:
        image_builder.ensure(["redis"], "upstream", lambda _: None, "127.0.0.1:1")
    assert "connection refused" in failed.value.why
    assert "nexus:registry" in failed.value.remedy


def test_an_image_nobody_knows_is_refused_with_the_names_there_are(hub):
    with pytest.raises(Failure, match=r"infra/images\.yaml has redis"):
        image_builder.missing(["nothing"], "upstream")


@pytest.fixture
def pins(tmp_path):
    file = tmp_path / "images.yaml"
    file.write_text(
        '# The pins.\nimages:\n  redis: # the cache\n    version: "7.0"\n    upstream: library/redis:7.0.15\n'
        '  base:\n    version: "12" # no original\n'
    )
    return file


def test_pinning_writes_the_registrys_digest_and_keeps_everything_else(hub, pins):
    before = pins.read_text()
    pinned = f"library/redis:7.0.15@{hub.digest}"
    assert verb.pin(lambda _: None, hub.address, pins) == [("redis", pinned)]
    assert pins.read_text() == before.replace("library/redis:7.0.15", pinned)
    assert YAML(typ="safe").load(pins)["images"]["redis"]["version"] == "7.0"
    assert verb.pin(lambda _: None, hub.address, pins) == []


def test_pinning_again_follows_the_tag(hub, pins):
    verb.pin(lambda _: None, hub.address, pins)
    hub.registry.blobs["sha256:" + "2" * 64] = b"{}"
    hub.registry.tags["library/redis", "7.0.15"] = "sha256:" + "2" * 64
    assert verb.pin(lambda _: None, hub.address, pins) == [("redis", "library/redis:7.0.15@sha256:" + "2" * 64)]


def test_pinning_asks_for_a_token_where_the_registry_wants_one(hub, pins):
    hub.registry.token = "secret-token"
    assert verb.pin(lambda _: None, hub.address, pins)[0][1].endswith(hub.digest)
    assert "GET /token?service=double&scope=pull" in hub.registry.requests


def test_pinning_a_tag_that_does_not_exist_changes_nothing(hub, pins):
    pins.write_text(pins.read_text().replace("7.0.15", "9.9"))
    before = pins.read_text()
    with pytest.raises(Failure, match="has no such tag"):
        verb.pin(lambda _: None, hub.address, pins)
    assert pins.read_text() == before


def test_pinning_a_malformed_reference_says_so(hub, pins):
    pins.write_text(pins.read_text().replace("library/redis:7.0.15", "Library/redis"))
    with pytest.raises(Failure, match="malformed image reference"):
        verb.pin(lambda _: None, hub.address, pins)


def test_the_projects_pins_survive_a_round_trip(hub, tmp_path, monkeypatch):
    """What the verb would write differs from the file in the digests alone."""
    copy = tmp_path / "images.yaml"
    copy.write_text(verb.PINS.read_text())
    monkeypatch.setattr(verb, "digest", lambda *_: "sha256:" + "3" * 64)
    assert verb.pin(lambda _: None, "", copy)
    assert copy.read_text().replace("@sha256:" + "3" * 64, "") == verb.PINS.read_text()


def test_the_projects_own_image_is_built_on_the_original_that_was_pulled(engine, image):
    name, _, tag = str(images.load()["python"].upstream).partition("@")[0].rpartition(":")
    lines: list[str] = []
    with double.serve() as served:
        served.push(engine, image("python"), name, tag)
        base = images.reference("python", "upstream", served.address)
        made = images.reference("service", "upstream", served.address)
        try:
            image_builder.ensure(["service"], "upstream", lines.append, served.address)
            assert lines[0] == f"pulling {base}"
            assert image_builder.missing(["service", "python"], "upstream", served.address) == []
            layers = engine.images.get(made).attrs["RootFS"]["Layers"]
            below = engine.images.get(base).attrs["RootFS"]["Layers"]
            assert layers[: len(below)] == below
            said = engine.containers.run(
                made, ["python", "-c", "import fastapi, services.reference as r; print(r.__name__)"], remove=True
            )
            assert said == b"services.reference\n"
        finally:
            for reference in (made, base):
                engine.images.remove(reference, force=True)

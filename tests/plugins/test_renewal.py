"""A certificate is replaced before it ends, by the protocol alone: a refresh sees that it is time, the diff says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.plugins.driver import bare
from tests.plugins.test_conformance import Life

CERTIFICATE = "vault:pkiSecret/secretBackendCert:SecretBackendCert"


@pytest.fixture
def life(bench: Callable[[str], Any]):
    place = bench("vault")
    life = Life(CERTIFICATE, place.plugin, place.server)
    yield life
    life.end()


@pytest.mark.parametrize(("left", "renewed", "due"), [(3000, True, True), (3000, False, False), (1200, True, False)])
def test_a_certificate_with_too_little_left_is_replaced_where_that_is_declared(
    life: Life, left: int, renewed: bool, due: bool
) -> None:
    """Of its life of 2700 s, ``left`` are declared to be the least; in the second case that is only noted."""
    declared = life.case.changed({"ttl": "2700s", "minSecondsRemaining": left, "autoRenew": renewed})
    resource = life.make(CERTIFICATE, declared)
    seen = life.plugin.read(resource)
    assert seen
    assert bool(bare(seen.outputs)["renewPending"]) == (left == 3000)
    difference = life.plugin.diff(seen, life.plugin.check(seen, declared, seen.inputs))
    assert difference.replaces == (["renewPending"] if due else [])
    assert difference.empty != due
    assert difference.deletes_first is False

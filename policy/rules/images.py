"""What runs in production is the same tomorrow: an image is named by its content."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policy.model import PRODUCTION, Resource, Rule, known
from policy.workload import WORKLOADS, workload

PULLED = "docker:index/remoteImage:RemoteImage"
#: By digest, or built here: such a tag ends with the digest of all that went into it (``infra/images.py``).
BY_DIGEST = re.compile(r"(^|.*@)sha256:[0-9a-f]{64}")
BUILT_HERE = re.compile(r"nexus/[a-z0-9-]+:[\w.-]+-[0-9a-f]{12}")


def by_digest(resource: Resource) -> Iterator[str]:
    """Both what is pulled and what is run."""
    name = resource.get("name", "") if resource.type == PULLED else workload(resource).image
    if known(name) and not BY_DIGEST.fullmatch(str(name)) and not BUILT_HERE.fullmatch(str(name)):
        yield f"{name} is named by a tag alone, which may be another image tomorrow"


RULES = (
    Rule(
        name="image-by-digest",
        description="In production an image is named by its digest.",
        remedy="Run `./nexus images pin`, which writes the digests into infra/images.yaml, or give the `image` of a "
        "service in infra/services.yaml or Pulumi.STACK.yaml as name@sha256:....",
        scope=PRODUCTION,
        types=WORKLOADS | {PULLED},
        check=by_digest,
    ),
)

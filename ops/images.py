"""The verb ``images``: what there is, making it present ahead of an ``up``, pinning the originals by digest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import images
from ops import image_builder
from ops.errors import BAD_INPUT, Failure

Report = Callable[[str], None]
PINS = Path(images.__file__).with_name("images.yaml")
#: What a registry may answer with: one image for several platforms, or one image; Docker's and OCI's names.
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
#: Where the engine looks for a reference without a host.
DEFAULT_REGISTRY = "registry-1.docker.io"
_LOCAL = re.compile(r"(localhost|127\.\d+\.\d+\.\d+)(:\d+)?")


@dataclass(frozen=True)
class Listed:
    """A row of ``images list``; ``megabytes`` is None while the engine does not have the image."""

    name: str
    reference: str
    stand_in: bool
    megabytes: float | None


def listing(source: str, registry: str = "") -> list[Listed]:
    """Every image of the platform as this source gives it."""
    with image_builder.engine_client() as client:
        rows = []
        for name in images.load():
            reference = images.reference(name, source, registry)
            details = image_builder.inspect(client, reference)
            size = details["Size"] / 1e6 if details else None
            rows.append(Listed(name, reference, images.is_stand_in(name, source), size))
        return rows


def build(names: Iterable[str], source: str, report: Report, registry: str = "") -> None:
    """Makes the named images present, all of them when none is named."""
    image_builder.ensure(list(names) or list(images.load()), source, report, registry)


def pin(report: Report, registry: str = "", file: Path = PINS) -> list[tuple[str, str]]:
    """Writes the digest of each original's tag into the file, keeping its comments; gives (name, reference) changed."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    document = yaml.load(file.read_text())
    changed = []
    for name, row in document["images"].items():
        if not row.get("upstream"):
            continue
        tagged = row["upstream"].partition("@")[0]
        report(f"asking for the digest of {tagged}")
        pinned = f"{tagged}@{digest(tagged, registry)}"
        if pinned != row["upstream"]:
            row["upstream"] = pinned
            changed.append((name, pinned))
    if changed:
        partial = file.with_suffix(".partial")
        with partial.open("w") as out:
            yaml.dump(document, out)
        partial.replace(file)
    return changed


def digest(reference: str, registry: str = "") -> str:
    """The digest ``sha256:...`` that the registry now has for ``name:tag``. Raises Failure."""
    import httpx

    try:
        images.check_reference(reference)
    except ValueError as error:
        raise Failure("the image cannot be pinned", str(error), "correct it in infra/images.yaml", BAD_INPUT) from None
    name, _, tag = reference.rpartition(":")
    host, _, prefix = (registry.rstrip("/") or DEFAULT_REGISTRY).partition("/")
    path = f"{prefix}/{name}" if prefix else name
    scheme = "http" if _LOCAL.fullmatch(host) else "https"
    try:
        with httpx.Client(timeout=30, follow_redirects=True) as client:
            address = f"{scheme}://{host}/v2/{path}/manifests/{tag}"
            answer = client.head(address, headers={"Accept": ", ".join(MANIFESTS)})
            if answer.status_code == 401:
                token = _token(client, answer.headers.get("www-authenticate", ""))
                headers = {"Accept": ", ".join(MANIFESTS), "Authorization": f"Bearer {token}"}
                answer = client.head(address, headers=headers)
    except httpx.HTTPError as error:
        raise Failure(f"no digest for {reference}", f"{host}: {error}", "check the network or the mirror") from None
    found = answer.headers.get("docker-content-digest", "")
    if answer.status_code == 404:
        raise Failure(f"no digest for {reference}", f"{host} has no such tag", "correct it in infra/images.yaml")
    if answer.status_code != 200 or not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
        why = f"{host} answered {answer.status_code} without a digest"
        raise Failure(f"no digest for {reference}", why, "is it a registry? see the setting nexus:registry")
    return found


def _token(client: Any, challenge: str) -> str:
    """An anonymous pull token, as the registry's challenge says where to get it."""
    fields = dict(_fields(challenge))
    realm = fields.pop("realm", "")
    if not realm:
        return ""
    answer = client.get(realm, params=fields)
    body = answer.json() if answer.status_code == 200 else {}
    return body.get("token") or body.get("access_token") or ""


def _fields(challenge: str) -> Iterator[tuple[str, str]]:
    yield from re.findall(r'(\w+)="([^"]*)"', challenge)

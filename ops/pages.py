"""Which servers have a page for a browser, where it is, and how one signs in there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops import witnesses

if TYPE_CHECKING:
    from ops.status import Row

#: The page of the whole platform, at the gateway: the APIs of all services.
DOCS = "docs"


@dataclass(frozen=True)
class Page:
    """A server's page: the role of its port, the path, and how to sign in (``{stack}`` and ``{container}`` are put in).

    A password is never in it, but the command that shows it. ``named``: by the host's name, not its address, as
    certificates, sign-on and cookies have it.
    """

    role: str = "main"
    path: str = "/"
    sign_in: str = ""
    named: bool = False


PASSWORDS = 'eval "$(./nexus env)" && pulumi stack output passwords --show-secrets --stack {stack}'
#: By kind of service; a kind that is not here has no page.
PAGES = {
    "kong": Page(
        "proxy_tls",
        "/docs",
        f"sign in as admin; the password: {PASSWORDS}\n"
        "the authority to import in the browser: pulumi stack output rootCertificate --stack {stack}",
        named=True,
    ),
    "grafana": Page(sign_in="sign in as admin; the password: docker exec {container} cat /run/secrets/admin-password"),
    "consul": Page(
        path="/ui/",
        sign_in=f"log in with a token that reads: docker exec {{container}} cat {witnesses.CONSUL_TOKEN} (SecretID)",
    ),
    "rabbitmq": Page(
        "management", sign_in="no person has a login here; docker exec {container} rabbitmqctl shows the same"
    ),
    "vault": Page(
        path="/v1/sys/seal-status", sign_in="its page is switched off: this is its state; all else needs a token"
    ),
    "service": Page(path="/ready", sign_in="its API is on the page `docs`"),
    "prometheus": Page(),
    "alertmanager": Page(),
    "kibana": Page(),
    "elasticsearch": Page(),
}


def address(kind: str, endpoints: dict[str, str]) -> str:
    """The address of a page, from the addresses that ``status`` has; empty when there is none on this machine."""
    page = PAGES.get(kind)
    if page is None or page.role not in endpoints:
        return ""
    found = endpoints[page.role]
    return (found.replace("127.0.0.1", "localhost") if page.named else found) + page.path


def front(rows: Iterable[Row]) -> str:
    """The address of the platform's page; empty when the gateway is not there."""
    found = (address("kong", row.endpoints) for row in rows if row.name == "kong")
    return next(filter(None, found), "")

"""Encrypted connections to data servers: what a server proves its name with, and what its clients check it by."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

#: A server's key, its certificate and the issuing authority's are one file, so that they can only change together.
CERTIFICATE = "server.pem"
#: The root's certificate, which a client checks every server by.
AUTHORITY = "root.pem"


@dataclass(frozen=True, kw_only=True)
class Tls:
    """The content of both files, in PEM; ``certificate`` is a secret."""

    certificate: pulumi.Input[str]
    authority: pulumi.Input[str]


def server_files(tls: Tls | None) -> dict[str, pulumi.Input[str]]:
    """The files of a server; it needs the root's only to ask itself whether it is healthy."""
    return {CERTIFICATE: tls.certificate, AUTHORITY: tls.authority} if tls else {}


def client_files(authority: pulumi.Input[str] | None) -> dict[str, pulumi.Input[str]]:
    """The files of a client of encrypted servers."""
    return {} if authority is None else {AUTHORITY: authority}

"""How the certificates of data servers are checked."""

from __future__ import annotations

import ssl
from pathlib import Path


def context(ca_file: Path | None) -> ssl.SSLContext | None:
    """Take what the authority in ``ca_file`` signed for the server's name, and nothing else; None without a file."""
    if ca_file is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the name, and trusts nobody yet
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_verify_locations(ca_file)
    return made

"""The page of APIs: one file without anything from elsewhere, which asks each service for its own description."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

TEMPLATE = Path(__file__).with_name("apis.html")


def page(apis: Sequence[Mapping[str, str]], key_header: str) -> str:
    """The page for these services: each has ``name``, ``path`` and ``auth``."""
    data = json.dumps({"apis": list(apis), "keyHeader": key_header}, sort_keys=True)
    return TEMPLATE.read_text().replace("@DATA@", data.replace("<", "\\u003c"))


def policy(html: str) -> str:
    """A content security policy under which only the page's own script and style run."""
    sources = {
        kind: " ".join(f"'sha256-{_digest(text)}'" for text in re.findall(pattern, html, re.DOTALL))
        for kind, pattern in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>"))
    }
    return (
        f"default-src 'none'; connect-src 'self'; script-src {sources['script']}; style-src {sources['style']}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

"""The few pages a person sees. They load nothing from anywhere, run no script, and cannot be framed."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).with_name("templates")
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_TEMPLATES = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)


def page(name: str, status: int = 200, leads_to: str | None = None, **values: object) -> HTMLResponse:
    """Render a page. ``leads_to`` is where its form ends up: browsers check redirects that follow a form, too."""
    forms = " ".join(("'self'", *([_source(leads_to)] if leads_to else [])))
    return HTMLResponse(
        _TEMPLATES.get_template(name).render(style=STYLE, **values),
        status,
        {
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {forms};"
            " frame-ancestors 'none'; base-uri 'none'",
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # with none at all, forms would come without their origin
            "Cache-Control": "no-store",
        },
    )


def message(title: str, text: str, status: int) -> HTMLResponse:
    """A page that says one thing."""
    return page("message.html", status, title=title, text=text)


def _source(uri: str) -> str:
    """What a policy calls the place: an origin, or the scheme of a program's own."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"

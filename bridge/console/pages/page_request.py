"""Read a request for a page: its path, its theme, its form, and which site it comes from.

Invariant: a form is read up to a size, and one that a page of another site sent is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, quote

from fastapi import Request

from bridge.core.web_access import WebAccess

THEME_COOKIE = "hookferry_theme"
THEMES = ("auto", "light", "dark")
_MOST_FORM_BYTES = 256 * 1024
_MOST_FIELDS = 2000
_ACCESS = WebAccess((), "console.hosts")


class Problem(Exception):
    """A request that gets a page with an error: its status, and what a person reads."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def here(request: Request) -> str:
    """Return path and query of a request, as they were sent."""
    query = request.url.query
    return quote(request.url.path) + (f"?{query}" if query else "")


def local_path(path: str) -> str:
    """Return a path of this console; ``/`` in place of an address of another site."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain and path.isprintable() and path.isascii() else "/"


def theme_of(request: Request) -> str:
    """Return the chosen theme; ``auto`` follows the system."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else "auto"


def check_same_origin(request: Request) -> None:
    """Raise ``Problem`` for a form that a page of another site sent."""
    headers = request.headers
    refusal = _ACCESS.check_change(
        request.method, headers.get("host"), headers.get("origin"), headers.get("sec-fetch-site")
    )
    if refusal is not None:
        raise Problem(refusal.status, "A page of another site must not change anything here.")


async def read_form(request: Request) -> Mapping[str, list[str]]:
    """Return the fields of a form. Raises ``Problem`` if it is too large or no form."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Problem(415, "This is no form of this console.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            raise Problem(413, "The form is too large. Select fewer events at once.")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as exc:
        raise Problem(400, "The form cannot be read.") from exc

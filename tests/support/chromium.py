"""A real Chromium for tests of the console's pages; every error that it reports is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CHECKS = (Path(__file__).parent / "page_checks.js").read_text("utf-8")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_NOTE_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""


class Tab(NamedTuple):
    """One page of a browser, and the errors that it reported."""

    page: Any
    errors: list[str]

    def faults(self) -> list[str]:
        """Return what a person with a screen reader, a keyboard or weak sight would miss."""
        return list(self.page.evaluate(CHECKS))


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium; skips the test where it is missing, or fails it with ``REQUIRE_CHROMIUM``."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        missing = f"no Chromium: none of {', '.join(_NAMES)} is on the PATH"
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@contextmanager
def tab(browser: Any, *, width: int = 1280, scheme: str = "light", **options: Any) -> Iterator[Tab]:
    """Open a page in a context of its own. Fails at the end if the browser reported an error."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
    context.set_default_timeout(30_000)
    page, errors = context.new_page(), []
    page.add_init_script(_NOTE_VIOLATIONS)
    page.on("console", lambda line: errors.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: (errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda sent: _note_foreign(sent.url, errors))
    yield Tab(page, errors)
    context.close()
    assert errors == []


def _note_foreign(url: str, errors: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "data:")):
        errors.append(f"request to another host: {url}")

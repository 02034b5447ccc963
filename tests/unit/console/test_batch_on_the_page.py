"""What the page of an event shows of one that was sent with others, in one request."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from bridge.console.event_views import AttemptDetail
from bridge.console.pages.app import pages
from tests.support.console_fake import NOW_S, FakeConsole
from tests.support.console_pages import OPEN

BATCH = "batch_" + "0a" * 16


class WithHeader(FakeConsole):
    """A console whose attempts have this ``webhook-id`` in the request."""

    sent_id = ""

    async def attempt(self, attempt_id: str) -> AttemptDetail | None:
        detail = await super().attempt(attempt_id)
        return None if detail is None else replace(detail, headers=[("Webhook-Id", self.sent_id)])


@pytest.mark.parametrize(("sent_id", "is_shown"), [(BATCH, True), ("evt-2", False), ("batch_of_mine", False)])
async def test_the_id_of_the_batch_is_shown_for_an_event_of_one(sent_id: str, is_shown: bool) -> None:
    fake = WithHeader()
    fake.sent_id = sent_id
    app = pages("hookferry", fake, fake, OPEN, lambda: NOW_S)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://console.test"
    ) as client:
        text = (await client.get("/event?id=evt-2")).text
    assert (f'one request: <span class="id">{sent_id}</span>' in text) is is_shown
    assert ("sent with other events" in text) is is_shown

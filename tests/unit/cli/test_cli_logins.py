"""``hookferry render`` and ``send`` with a login: send logs in as the bridge does; neither shows a secret."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from bridge.cli import cli
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer

CONFIG = """\
kafka: {{bootstrap_servers: [localhost:9]}}
sources: {{shop: {{format: json, topics: [o], id: id, type: type}}}}
egress: {{allow: [127.0.0.0/8]}}
endpoints:
  crm:
    url: {origin}/hooks
    auth:
      oauth2: {{token_url: "{origin}/token", client_id: {id}, client_secret: "{secret}"}}
  keyed:
    url: {origin}/hooks?a=b
    auth: {{api_key: {{query: key, value: K3YK3YK3Y}}}}
"""


def run(folder: Path, origin: str, secret: str, *arguments: str) -> Result:
    path = folder / "bridge.yaml"
    path.write_text(CONFIG.format(origin=origin, id=CLIENT_ID, secret=secret))
    return CliRunner().invoke(cli, [*arguments, "-c", str(path), "-s", "order.paid"])


def test_render_shows_that_a_token_is_sent_and_fetches_none(tmp_path: Path) -> None:
    result = run(tmp_path, "http://127.0.0.1:9", CLIENT_SECRET, "render", "-e", "crm", "--show-secrets")
    assert result.exit_code == 0, result.output
    assert "\nauthorization: ***\n" in result.stdout
    assert CLIENT_SECRET not in result.output


def test_render_masks_a_key_in_the_query(tmp_path: Path) -> None:
    result = run(tmp_path, "http://127.0.0.1:9", CLIENT_SECRET, "render", "-e", "keyed")
    assert "K3Y" not in result.output
    shown = run(tmp_path, "http://127.0.0.1:9", CLIENT_SECRET, "render", "-e", "keyed", "--show-secrets")
    assert "http://127.0.0.1:9/hooks?a=b&key=K3YK3YK3Y\n" in shown.stdout


async def test_a_token_that_a_receiver_repeats_is_not_shown(tmp_path: Path) -> None:
    async with OAuthServer(revokes_new=True) as server:
        result = await asyncio.to_thread(run, tmp_path, server.origin, CLIENT_SECRET, "send", "-e", "crm")
    assert server.statuses == [401, 401]
    assert "received: ***" in result.output, result.output
    assert not any(token in result.output for token in server.issued)


async def test_send_logs_in_with_a_token(tmp_path: Path) -> None:
    async with OAuthServer() as server:
        send = ("send", "-e", "crm")
        result = await asyncio.to_thread(run, tmp_path, server.origin, CLIENT_SECRET, *send)
        assert "verdict: delivered" in result.output, result.output
        assert server.statuses == [200]
        refused = await asyncio.to_thread(run, tmp_path, server.origin, "wrong-secret", *send)
    assert refused.exit_code == 1
    assert "token_url answered with status 401 (invalid_client); check client_id" in refused.output
    assert "wrong-secret" not in refused.output
    assert not any(token in result.output + refused.output for token in server.issued)

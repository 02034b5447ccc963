"""Amazon MSK with IAM: AWS's own signer makes the tokens, and every failure of it is named."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.errors import ConfigError, TokenUnavailable
from bridge.kafka.client import KafkaOptions
from bridge.kafka.msk import MskSigner
from bridge.settings import KafkaSettings
from bridge.wiring.kafka import build_kafka_options

MODULE = "aws_msk_iam_sasl_signer"
KEY_ID, SECRET = "AKIAEXAMPLEEXAMPLE", "secret-access-key-2b7d"


def options() -> KafkaOptions:
    """Return the options of a bridge whose brokers are MSK's."""
    settings = {
        "bootstrap_servers": ["b-1.msk.test:9098"],
        "security_protocol": "SASL_SSL",
        "sasl": {"mechanism": "AWS_MSK_IAM", "aws_region": "eu-central-1"},
    }
    return build_kafka_options(KafkaSettings.model_validate(settings))


async def token(options: KafkaOptions) -> str:
    """Return the token that an aiokafka client would send."""
    return str(await options.arguments()["sasl_oauth_token_provider"].token())


def install(patch: pytest.MonkeyPatch, sign: Callable[[str], tuple[str, int]]) -> None:
    patch.setitem(sys.modules, MODULE, SimpleNamespace())
    patch.setitem(sys.modules, f"{MODULE}.MSKAuthTokenProvider", SimpleNamespace(generate_auth_token=sign))


@pytest.mark.skipif(
    importlib.util.find_spec(MODULE) is None,
    reason="the extra msk is not installed: pip install aws-msk-iam-sasl-signer-python",
)
async def test_the_signer_of_aws_makes_a_token_from_credentials_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    made = options()
    assert made.arguments()["sasl_mechanism"] == "OAUTHBEARER"
    text = await token(made)
    url = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    query = parse_qs(urlsplit(url).query)
    assert urlsplit(url).hostname == "kafka.eu-central-1.amazonaws.com"
    assert query["Action"] == ["kafka-cluster:Connect"]
    assert query["X-Amz-Credential"][0].startswith(f"{KEY_ID}/")
    assert SECRET not in url
    assert await token(made) == text, "it is kept until shortly before its end"


async def test_a_token_is_kept_for_its_lifetime(monkeypatch: pytest.MonkeyPatch) -> None:
    regions: list[str] = []

    def sign(region: str) -> tuple[str, int]:
        regions.append(region)
        return f"token-{len(regions)}", int((time.time() + 900) * 1000)

    install(monkeypatch, sign)
    made = options()
    assert {await token(made) for _ in range(5)} == {"token-1"}
    assert regions == ["eu-central-1"]


async def test_a_signer_that_fails_is_named_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def sign(region: str) -> tuple[str, int]:
        raise LookupError(f"credentials of {SECRET}")

    install(monkeypatch, sign)
    with pytest.raises(
        TokenUnavailable, match=r"made no token \(LookupError\); give the pod an IAM role"
    ) as caught:
        await MskSigner("eu-central-1").fetch()
    assert SECRET not in str(caught.value)


async def test_a_signer_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def sign(region: str) -> tuple[str, int]:
        asyncio.run_coroutine_threadsafe(ended.wait(), loop).result()
        return "late", 0

    install(monkeypatch, sign)
    monkeypatch.setattr("bridge.kafka.msk._TIMEOUT_S", 0.05)
    with pytest.raises(TokenUnavailable, match="no AWS credentials within 0 s"):
        await MskSigner("eu-central-1").fetch()
    ended.set()


def test_without_the_extra_the_settings_are_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"{MODULE}.MSKAuthTokenProvider", None)
    with pytest.raises(ConfigError, match=r"which is not installed; install hookferry\[msk\]"):
        options()

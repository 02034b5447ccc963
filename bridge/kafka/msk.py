"""Tokens for Amazon MSK with IAM: AWS's own signer makes them from the credentials of the process.

The signer is an optional dependency (extra ``msk``). It blocks while it looks for credentials, so it runs in
a thread. MSK takes the token by the mechanism OAUTHBEARER.
"""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import Any

from bridge.errors import ConfigError, TokenUnavailable
from bridge.http.token_request import Grant

SETTING = "kafka.sasl.aws_region"
_MODULE = "aws_msk_iam_sasl_signer.MSKAuthTokenProvider"
_TIMEOUT_S = 15.0
_CHECK_ROLE = "give the pod an IAM role (or set AWS credentials in its environment), and check aws_region"


class MskSigner:
    """Signs tokens for the brokers of one AWS region."""

    def __init__(self, region: str) -> None:
        """Load the signer. Raises ``ConfigError`` if it is not installed."""
        try:
            self._signer: Any = import_module(_MODULE)
        except ImportError as exc:
            raise ConfigError(
                [
                    "kafka.sasl.mechanism: AWS_MSK_IAM needs the package aws-msk-iam-sasl-signer-python,"
                    " which is not installed; install hookferry[msk]"
                ]
            ) from exc
        self._region = region

    async def fetch(self) -> Grant:
        """Return a new token. Raises ``TokenUnavailable``.

        The signer's exceptions come from its AWS library and may contain requests: only their type is shown.
        """
        try:
            signing = asyncio.to_thread(self._signer.generate_auth_token, self._region)
            token, expires_at_ms = await asyncio.wait_for(signing, _TIMEOUT_S)
        except TimeoutError as exc:
            cause = f"{SETTING}: no AWS credentials within {_TIMEOUT_S:.0f} s"
            raise TokenUnavailable(cause, _CHECK_ROLE) from exc
        except Exception as exc:
            cause = f"{SETTING}: the signer of AWS made no token ({type(exc).__name__})"
            raise TokenUnavailable(cause, _CHECK_ROLE) from exc
        return Grant(str(token), max(1.0, expires_at_ms / 1000 - time.time()))

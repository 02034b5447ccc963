"""An OpenID provider in memory: it is its own transport."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import orjson
from joserfc import jwk, jwt

from bridge.errors import TransportError, TransportFault
from bridge.model import Request, Response

ISSUER = "https://login.bank/realm"
NOW_S = 1_790_000_000


class Issuer:
    """What the issuer publishes, and the tokens that it signs. It is its own transport."""

    def __init__(self) -> None:
        self.keys = [self.new_key("k1")]
        self.requests = 0
        self.issuer = ISSUER
        self.jwks_uri = f"{ISSUER}/keys"
        self.is_down = False
        self.now_s = float(NOW_S)
        self.redeemed: list[dict[str, Any]] = []
        self.tokens: dict[str, str] = {}

    @staticmethod
    def new_key(kid: str) -> jwk.ECKey:
        return jwk.ECKey.generate_key("P-256", {"kid": kid})

    async def send(self, request: Request, timeout_s: float) -> Response:
        self.requests += 1
        if self.is_down:
            raise TransportError(TransportFault.CONNECT, "refused")
        if "openid-configuration" in request.url.target:
            document: Any = {"issuer": self.issuer, "jwks_uri": self.jwks_uri}
            document |= {"authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token"}
        elif request.url.target.endswith("/token"):
            self.redeemed.append(dict(parse_qsl(request.body.decode())) | {"login": dict(request.headers)})
            document = self.tokens
        else:
            document = {"keys": [key.as_dict(private=False) for key in self.keys]}
        return Response(200, (), orjson.dumps(document))

    async def close(self) -> None:
        return None

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        key = key or self.keys[-1]
        usual = {"iss": ISSUER, "aud": "hookferry", "exp": NOW_S + 60, "sub": "u1",
                 "preferred_username": "ann", "roles": ["hookferry-operate"]}  # fmt: skip
        given = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": key.kid, **(header or {})}, given, key)

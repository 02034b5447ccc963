"""Sign requests: Standard Webhooks v1 and v1a, and the HMAC forms of other senders. Pure.

This runs once per attempt. So each key is prepared once, and the keys that sign are selected again only when
the time of the attempt leaves the stretch in which they do.
"""

from __future__ import annotations

import binascii
from abc import ABC, abstractmethod
from binascii import b2a_base64
from collections.abc import Callable, Sequence

from bridge.core.signing.forms import HmacForm, bytes_format
from bridge.core.signing.keys import SigningKey, active
from bridge.core.signing.mac import PreparedKey, mac, prepare
from bridge.model import Url

Headers = tuple[tuple[bytes, bytes], ...]


class Signer(ABC):
    """Returns the headers that identify and sign one attempt."""

    newest_key = ""
    """The name of the newest key that signs, for logs and metrics; empty if none does."""

    @abstractmethod
    def headers(self, webhook_id: str, at_s: int, body: bytes, method: str, url: Url) -> Headers:
        """Return the headers of one attempt at Unix second ``at_s``.

        Most forms do not sign ``method`` and ``url``.
        """


class NoSignature(Signer):
    """Adds no headers: for receivers that neither verify signatures nor use the id."""

    def headers(
        self, webhook_id: str, at_s: int, body: bytes, method: str = "", url: Url | None = None
    ) -> Headers:
        """Return no headers."""
        return ()


class IdOnly(Signer):
    """Adds the id and the time of the attempt: for receivers that drop repetitions by the id."""

    def headers(
        self, webhook_id: str, at_s: int, body: bytes, method: str = "", url: Url | None = None
    ) -> Headers:
        """Return ``webhook-id`` and ``webhook-timestamp``."""
        return ((b"webhook-id", webhook_id.encode("ascii")), (b"webhook-timestamp", b"%d" % at_s))


class KeyedSigner(Signer):
    """Base of the signers that have keys: signs with the keys that are active at the time of an attempt.

    So an overlap of two keys ends by itself, without a restart. Invariant: every attempt is signed.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        if not keys:
            raise ValueError("there is no key to sign with")
        self._all = tuple(keys)
        self._since_s = self._until_s = 0.0  # an empty stretch: the first attempt selects the keys

    def _select(self, at_s: float) -> None:
        keys, self._since_s, self._until_s = active(self._all, at_s)
        self.newest_key = keys[0].name
        self._prepare(keys)

    @abstractmethod
    def _prepare(self, keys: Sequence[SigningKey]) -> None:
        """Prepare to sign with these keys, the newest first."""


class StandardSigner(KeyedSigner):
    """Signs by Standard Webhooks 1.0.0, with every active key, so that receivers can change keys at any time.

    The signed bytes are ``{id}.{unix seconds}.{body}``. The signature header lists one ``v1,<base64>`` per
    secret (HMAC-SHA256) and one ``v1a,<base64>`` per Ed25519 key, separated by spaces.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        super().__init__(keys)
        self._shared: tuple[PreparedKey, ...] = ()
        self._functions: tuple[Callable[[bytes], bytes], ...] = ()
        self._at_s, self._instant = -1, b""
        self._dated = b"webhook-timestamp", b""

    def headers(
        self, webhook_id: str, at_s: int, body: bytes, method: str = "", url: Url | None = None
    ) -> Headers:
        """Return the ``webhook-*`` headers of one attempt."""
        if at_s != self._at_s:  # once per second
            self._at_s, self._instant = at_s, b"%d" % at_s
            self._dated = b"webhook-timestamp", self._instant
            if not self._since_s <= at_s < self._until_s:
                self._select(at_s)
        name = webhook_id.encode("ascii")
        before_body = b"%b.%b." % (name, self._instant)
        signature = b""
        for key_inner, key_outer in self._shared:  # as in ``mac``, without its call: most requests come here
            inner, outer = key_inner.copy(), key_outer.copy()
            inner.update(before_body)
            inner.update(body)
            outer.update(inner.digest())
            signature += b" v1," + b2a_base64(outer.digest(), newline=False)
        for sign in self._functions:
            signature += b" v1a," + b2a_base64(sign(before_body + body), newline=False)
        return (b"webhook-id", name), self._dated, (b"webhook-signature", signature[1:])

    def _prepare(self, keys: Sequence[SigningKey]) -> None:
        self._shared = tuple(prepare(key.secret, "sha256") for key in keys if key.public is None)
        self._functions = tuple(ed25519_function(key) for key in keys if key.public is not None)


def ed25519_function(key: SigningKey) -> Callable[[bytes], bytes]:
    """Return the function that signs with an Ed25519 key."""
    from bridge.core.signing.ed25519 import signing_function  # noqa: PLC0415 - see its module

    return signing_function(key.secret)


class HmacSigner(KeyedSigner):
    """Signs in the form of another sender. ``webhook-id`` and ``webhook-timestamp`` are sent as well.

    If the form has room for one signature only, the newest active key signs.
    """

    def __init__(self, form: HmacForm, keys: Sequence[SigningKey]) -> None:
        super().__init__(keys)
        self._form = form
        self._header = form.header.encode("ascii")
        self._timestamp_header = (form.timestamp_header or "").encode("ascii")
        self._signs = bytes_format(form.signs)
        self._head = bytes_format(form.head)
        self._prefix = form.prefix.encode("ascii")
        self._separator = (form.separator or "").encode("ascii")
        self._is_hex = form.encoding == "hex"
        self._shared: tuple[PreparedKey, ...] = ()

    def headers(
        self, webhook_id: str, at_s: int, body: bytes, method: str = "", url: Url | None = None
    ) -> Headers:
        """Return id and time, and the signature in its header."""
        if not self._since_s <= at_s < self._until_s:
            self._select(at_s)
        name = webhook_id.encode("ascii")
        instant = b"%d" % at_s
        values = {b"id": name, b"timestamp": instant, b"body": body}
        signed = self._signs % values
        signatures = []
        for key in self._shared:
            digest = mac(key, signed)
            text = binascii.hexlify(digest) if self._is_hex else binascii.b2a_base64(digest, newline=False)
            signatures.append(self._prefix + text)
        always: Headers = ((b"webhook-id", name), (b"webhook-timestamp", instant))
        if self._timestamp_header:
            always = (*always, (self._timestamp_header, instant))
        return (*always, (self._header, self._head % values + self._separator.join(signatures)))

    def _prepare(self, keys: Sequence[SigningKey]) -> None:
        signing = keys if self._form.separator is not None else keys[:1]
        self._shared = tuple(prepare(key.secret, self._form.algorithm) for key in signing)

"""Log events of the logins to receivers and brokers: access tokens and certificates."""

from __future__ import annotations

from typing import Final

TOKEN_FETCHED: Final = "token.fetched"  # noqa: S105 - the name of an event
"""The token server issued an access token: the first one, or the first one after `token.failed`. Renewals
are not logged.

Never."""

TOKEN_FAILED: Final = "token.failed"  # noqa: S105 - the name of an event
"""The token server issued no access token; `setting` names its URL. The token in use is used until it
expires. After that, events of the endpoint wait and use up no attempts, or no connection to a broker is
opened. The line is written once per minute.

Worry if `token.fetched` does not follow: `cause` and `remedy` name what to correct."""

CERTIFICATES_READ: Final = "certificates.read"
"""The certificate files of an endpoint changed and were read again. New connections use them.

Never."""

CERTIFICATES_IGNORED: Final = "certificates.ignored"
"""The certificate files of an endpoint changed and cannot be used. New connections use those that were read
before. The line is written once per minute, and only when a connection is opened.

Always if `certificates.read` does not follow: the old certificate may expire. Write the files again."""

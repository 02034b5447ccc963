"""Map the exceptions of aiokafka and of sockets to the product's own, in one place.

Invariant: whatever a client raises inside a ``broker_call`` leaves it as a ``BrokerError``, which
every caller retries. So no exception of a client ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from aiokafka.errors import (
    InvalidSessionTimeoutError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from bridge.errors import BrokerError, ClientFailed, HookferryError, RecordTooLarge, RequestUnknown
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()

ANSWER_TIMEOUT_S = 15.0
"""Limit for a query: aiokafka waits 40 s for some answers and without a limit for others."""
CHECK_BROKER = "check kafka.bootstrap_servers, kafka.tls, kafka.sasl and that the broker is up"
NEWER_BROKER = "none needed; a newer broker has it"
REFUSED_SESSION = (
    "set kafka.session_timeout_s within the broker's group.min.session.timeout.ms and"
    " group.max.session.timeout.ms"
)
FOREIGN_ERRORS = (KafkaError, OSError)
"""What aiokafka raises for a failed request. ``TimeoutError`` is an ``OSError``."""
_lines = Throttle()
_tracebacks = Throttle(float("inf"))


@asynccontextmanager
async def broker_call(
    action: str, *, timeout_s: float | None = None, remedy: str = CHECK_BROKER
) -> AsyncIterator[None]:
    """Run a request to the broker; raise ``BrokerError`` if it fails or exceeds ``timeout_s``.

    ``action`` completes the sentence "cannot …". Raises ``RecordTooLarge`` for a record that does not
    fit, ``RequestUnknown`` if the broker has no version of the request, and ``ClientFailed`` for any
    exception that the client should not raise. Only calls of a client belong in here: an error of our own
    would be taken for the client's.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (MessageSizeTooLargeError, RecordListTooLargeError) as exc:
        raise RecordTooLarge(action, "the record is too large", "raise its max.message.bytes") from exc
    except InvalidSessionTimeoutError as exc:
        raise BrokerError(action, describe(exc), REFUSED_SESSION) from exc
    except NotImplementedError as exc:  # aiokafka, for a request of which the broker has no usable version
        raise RequestUnknown(action, "the broker has no version of this request", NEWER_BROKER) from exc
    except FOREIGN_ERRORS as exc:
        raise BrokerError(action, describe(exc, timeout_s), remedy) from exc
    except HookferryError:
        raise
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # the caller was cancelled, not one of the client's own tasks
        raise _client_failed(action, exc) from exc
    except Exception as exc:
        raise _client_failed(action, exc) from exc


@contextmanager
def client_call(action: str) -> Iterator[None]:
    """Call a client without waiting for the broker; raise ``BrokerError`` for whatever it raises."""
    try:
        yield
    except FOREIGN_ERRORS as exc:
        raise BrokerError(action, describe(exc), "none needed: it is tried again") from exc
    except Exception as exc:
        raise _client_failed(action, exc) from exc


def _client_failed(action: str, exc: BaseException) -> ClientFailed:
    """Log an unexpected exception, with its traceback once per type; return it as our own."""
    kind, text = type(exc).__name__, str(exc)
    if _lines.allows((kind, action)):
        _log.error(
            events.CLIENT_FAILED,
            action=action,
            exception=kind,
            cause=text or "the client gave no reason",
            remedy="none needed: the client is replaced; report this line with its traceback",
            exc_info=exc if _tracebacks.allows(kind) else None,
        )
    return ClientFailed(action, f"{kind}: {text}", "none needed: the client is replaced")


def describe(exc: BaseException, timeout_s: float | None = None) -> str:
    """Return the cause in words; aiokafka's own text begins with the name of its exception."""
    if isinstance(exc, TimeoutError) and not exc.args:
        limit = f" within {timeout_s:g} s" if timeout_s is not None else " in time"
        return f"the broker did not answer{limit}"
    return str(exc) or repr(exc)

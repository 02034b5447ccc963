"""``hookferry verify``: find out why a receiver does not accept a request."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli.output import Output, output_option, show
from bridge.cli.run import config_option
from bridge.cli.shell_names import endpoint_names

if TYPE_CHECKING:
    from bridge.cli.captured_request import CapturedRequest
    from bridge.cli.verify_report import Candidate
    from bridge.core.signing import HmacForm, SigningKey
    from bridge.core.signing.forms import Form
    from bridge.settings import EndpointSettings

_MOST_BYTES = 64 * 1024 * 1024


@click.command(short_help="Find out why a receiver refuses a signature.")
@click.argument("request_file", metavar="REQUEST")
@click.option("--body", "body_file", metavar="FILE", help="The raw body, if it is not in REQUEST.")
@click.option(
    "--endpoint", "-e", metavar="NAME", shell_complete=endpoint_names,
    help="Use form and keys of this endpoint of the configuration.",
)  # fmt: skip
@click.option(
    "--key-file", metavar="FILE", type=click.Path(path_type=Path), help="A file with the keys, one per line."
)
@click.option("--key-env", metavar="VARIABLE", help="The environment variable with the key.")
@click.option(
    "--form", default="standard", show_default=True, metavar="FORM", help="The form, with a key of your own."
)
@click.option(
    "--at", metavar="INSTANT", help="The time of the check, such as 2026-06-29T08:15:30Z. Default: now."
)
@click.option(
    "--tolerance-s", default=300.0, show_default=True, help="How old a timestamp may be, in seconds."
)
@output_option
@config_option
def verify(
    request_file: str,
    body_file: str | None,
    endpoint: str | None,
    key_file: Path | None,
    key_env: str | None,
    form: str,
    at: str | None,
    tolerance_s: float,
    path: Path,
    output: Output,
) -> None:
    """Check the signature of a request that a receiver captured, and show which part of it fails.

    REQUEST is a file with the headers as they arrived, an empty line, and the raw body; - reads standard
    input. It may begin with a request line, as `curl -v` prints it.

    The keys come from an endpoint of the configuration (--endpoint), from a file, or from an environment
    variable: a secret whsec_…, a public key whpk_…, or the text of another form. Exits with 0 if the request
    is genuine and recent, with 1 if not, and with 2 for a mistake in the arguments.
    """
    from bridge.cli.verify_report import report

    request = _request(request_file, body_file)
    now_s = time.time() if at is None else _instant(at)
    if endpoint is not None:
        chosen, candidates, others = _of_endpoint(path, endpoint)
    else:
        chosen, candidates, others = _given(key_file, key_env, form)
    result = report(request, chosen, candidates, others, now_s=now_s, tolerance_s=tolerance_s)
    show(
        output,
        {"verified": result.verified, "findings": result.lines},
        lambda: [*result.lines, "verified" if result.verified else "NOT verified"],
    )
    sys.exit(ExitCode.SUCCESS if result.verified else ExitCode.FAILURE)


def _request(request_file: str, body_file: str | None) -> CapturedRequest:
    from bridge.cli.captured_request import BadCapture, read_request
    from bridge.errors import ConfigError

    body = None if body_file is None else _content(body_file)
    try:
        return read_request(_content(request_file), body)
    except BadCapture as exc:
        raise ConfigError([f"{request_file}: {exc}"]) from exc


def _content(name: str) -> bytes:
    from bridge.errors import ConfigError

    try:
        if name == "-":
            return sys.stdin.buffer.read(_MOST_BYTES)
        with Path(name).open("rb") as stream:
            return stream.read(_MOST_BYTES)
    except OSError as exc:
        raise ConfigError(
            [f"{name}: cannot be read ({exc.strerror}); name a file that exists, or -"]
        ) from exc


def _instant(text: str) -> float:
    from bridge.core.instant import instant_ms
    from bridge.errors import ConfigError
    from bridge.settings.problem import printable

    at_ms = instant_ms(text)
    if at_ms is None:
        raise ConfigError([f'--at "{printable(text)}" is not an instant; write it as 2026-06-29T08:15:30Z'])
    return at_ms / 1000


def _of_endpoint(path: Path, name: str) -> tuple[HmacForm | None, list[Candidate], list[Candidate]]:
    """Return the form and the keys of an endpoint, and the keys of all other ones."""
    from bridge.cli.names import require_endpoint
    from bridge.cli.terminal import read_settings
    from bridge.cli.verify_report import Candidate
    from bridge.core.signing import HmacForm
    from bridge.errors import ConfigError
    from bridge.settings import uses

    settings = read_settings(path, uses.signing(name))
    require_endpoint(path, name, settings.endpoints)
    endpoint = settings.endpoints[name]
    form = _checkable(endpoint.signing_form)
    if not endpoint.signing_keys:
        raise ConfigError([f"{path}: endpoint {name} has no keys; its requests are not signed: add secrets"])
    candidates = [Candidate(name, key) for key in endpoint.signing_keys]
    others = [
        Candidate(other, key)
        for other, settings_of in settings.endpoints.items()
        if other != name and isinstance(settings_of.signing_form, HmacForm) == (form is not None)
        for key in _readable_keys(settings_of)
    ]
    return form, candidates, others


def _readable_keys(endpoint: EndpointSettings) -> tuple[SigningKey, ...]:
    """Return the keys of an endpoint; none if their secrets are not set here."""
    from bridge.core.signing.key_text import BadKey

    try:
        return endpoint.signing_keys
    except BadKey:
        return ()


def _checkable(form: Form) -> HmacForm | None:
    """Return the form to check, None for Standard Webhooks. Raises ``ConfigError`` for another one."""
    from bridge.core.signing.forms import MESSAGE_SIGNATURES
    from bridge.errors import ConfigError

    if form == MESSAGE_SIGNATURES:
        remedy = "check it with a library for RFC 9421, such as http-message-signatures for Python"
        raise ConfigError([f"the form {form} cannot be checked by this command; {remedy}"])
    return None if isinstance(form, str) else form


def _given(
    key_file: Path | None, key_env: str | None, form_name: str
) -> tuple[HmacForm | None, list[Candidate], list[Candidate]]:
    """Return the form and the keys that the arguments name."""
    import os

    from bridge.cli.verify_report import Candidate
    from bridge.core.signing.key_text import BadKey, read_keys, received_key
    from bridge.errors import ConfigError
    from bridge.settings.models.signing import FORM_NAMES, form_named, key_reader
    from bridge.settings.problem import choice, printable

    if (key_file is None) == (key_env is None):
        raise click.UsageError("give the keys once: --endpoint, --key-file or --key-env")
    if form_name not in FORM_NAMES:
        guess = choice(form_name, FORM_NAMES, "the forms are")
        raise ConfigError([f'--form "{printable(form_name)}" is not a form; {guess}'])
    origin = str(key_file) if key_file is not None else f"${key_env}"
    text = (
        _content(str(key_file)).decode("utf-8", "replace") if key_file else os.environ.get(key_env or "", "")
    )
    form = _checkable(form_named(form_name))
    try:
        keys = read_keys(text, received_key if form is None else key_reader(form))
    except BadKey as exc:
        raise ConfigError([f"{origin}: {exc}"]) from exc
    return form, [Candidate(origin, key) for key in keys], []

"""``hookferry keys``: create, list and rotate signing keys, and print the public ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.output import Output, output_option, show, table
from bridge.cli.run import config_option
from bridge.cli.shell_names import endpoint_names

if TYPE_CHECKING:
    from bridge.core.signing import SigningKey
    from bridge.settings import EndpointSettings, Settings


@click.group(short_help="Create, list and rotate signing keys.")
def keys() -> None:
    """Create, list and rotate the keys that sign requests, and print the public ones."""


@keys.command(short_help="Print a new signing key.")
@click.option("--ed25519", is_flag=True, help="An Ed25519 key (v1a): receivers get only its public half.")
@click.option("--text", "as_text", is_flag=True, help="A secret for other forms, such as github: 64 digits.")
@output_option
def new(ed25519: bool, as_text: bool, output: Output) -> None:
    """Print a new signing key: a shared secret of Standard Webhooks, unless an option selects another kind.

    Standard output has only the key, so that CRM_SECRET=$(hookferry keys new) works. Its name, and the public
    key of an Ed25519 key, are printed on standard error.
    """
    from bridge.cli.new_key import ed25519_pair, hmac_secret, shared_secret
    from bridge.core.signing.jwks import public_text

    if ed25519 and as_text:
        raise click.UsageError("--ed25519 and --text are two kinds of keys; give one of them")
    made = ed25519_pair() if ed25519 else hmac_secret("text") if as_text else shared_secret()
    public = None if made.key.public is None else public_text(made.key.public)
    document = {"key": made.text, "name": made.key.name, "public_key": public}
    show(output, document, lambda: [made.text], show_secrets=True)
    if output is Output.TABLE:
        click.echo(f"name: {made.key.name}", err=True)
        if public is not None:
            click.echo(f"public key, for the receiver: {public}", err=True)


@keys.command("list", short_help="Show every signing key: when it signs, and its name.")
@output_option
@config_option
def list_(path: Path, output: Output) -> None:
    """Show the signing keys of every endpoint: whether they sign now, from when and until when.

    KEY is a name that is computed from the key and does not reveal it. Metrics and logs use the same name.
    """
    from bridge.cli.terminal import read_settings
    from bridge.settings import uses

    rows = list(_rows(read_settings(path, uses.SIGNING_KEYS), time.time()))
    heading = ["ENDPOINT", "FORM", "KEY", "STATE", "SINCE", "UNTIL", "PUBLIC KEY"]
    cells = [[value or "-" for value in row.values()] for row in rows]
    show(output, rows, lambda: [table([heading, *cells]) if rows else "no endpoint has a signing key"])


@keys.command(short_help="Replace the signing key of an endpoint, with an overlap.")
@click.argument("name", shell_complete=endpoint_names)
@click.option(
    "--overlap", default="24h", show_default=True, metavar="TIME",
    help="How long the receiver may take to accept the new key: a number and s, m, h or d.",
)  # fmt: skip
@click.option("--ed25519", is_flag=True, help="The new key is an Ed25519 key (v1a).")
@output_option
@config_option
def rotate(name: str, overlap: str, ed25519: bool, path: Path, output: Output) -> None:
    """Replace the signing key of the endpoint NAME. The old key ends by itself after the overlap.

    If the first key of the endpoint is ${file:PATH} and the file can be written, the command writes the new
    key into its first line, and gives the old ones an end. Otherwise it changes nothing, and prints
    the new key and the lines of the configuration. A running bridge takes a changed file over (`reload`).

    A form with one signature per request, such as github, cannot be signed with both keys. Then the old key
    signs until the end of the overlap, and the new one from there on.
    """
    from bridge.cli.key_rotation import rotate_key
    from bridge.cli.terminal import read_settings
    from bridge.settings import uses

    settings = read_settings(path, uses.signing(name))
    lines = list(rotate_key(path, settings, name, overlap, time.time(), ed25519=ed25519))
    show(output, {"endpoint": name, "lines": [line for line in lines if line]}, lambda: lines)


@keys.command(short_help="Print the public keys as a JSON Web Key Set.")
@output_option
@config_option
def jwks(path: Path, output: Output) -> None:
    """Print the public keys of all Ed25519 signing keys as a JSON Web Key Set (RFC 7517).

    The admin port serves the same document as /.well-known/jwks.json. It contains nothing secret.
    """
    import orjson

    from bridge.cli.terminal import read_settings
    from bridge.settings import uses
    from bridge.wiring.endpoints import build_key_set

    document = build_key_set(read_settings(path, uses.SIGNING_KEYS))(time.time())
    show(output, document, lambda: [orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()])


def _rows(settings: Settings, now_s: float) -> Iterator[dict[str, str | None]]:
    from bridge.core.signing.jwks import public_text

    for name, endpoint in settings.endpoints.items():
        for key in endpoint.signing_keys:
            yield {
                "endpoint": name,
                "form": _form_name(endpoint),
                "key": key.name,
                "state": _state(endpoint, key, now_s),
                "since": _instant(key.since_s),
                "until": _instant(key.until_s),
                "public_key": None if key.public is None else public_text(key.public),
            }


def _form_name(endpoint: EndpointSettings) -> str:
    form: Any = "standard" if endpoint.signing is None else endpoint.signing.form
    return form if isinstance(form, str) else "own"


def _state(endpoint: EndpointSettings, key: SigningKey, now_s: float) -> str:
    from bridge.core.signing import HmacForm
    from bridge.core.signing.keys import active

    if not key.signs_at(now_s):
        return "ended" if key.until_s <= now_s else "begins later"
    if active(endpoint.signing_keys, now_s).keys[0].name == key.name:
        return "signs, newest"
    form = endpoint.signing_form
    if isinstance(form, HmacForm) and form.separator is None:
        return "waits: the form has one signature"
    return "signs"


def _instant(at_s: float) -> str | None:
    from bridge.core.instant import instant_text

    return None if at_s in (-inf, inf) else instant_text(at_s)

"""Replace the signing key of an endpoint: in its key file, or as instructions for the operator.

A key file has one key per line, the newest first, each followed by its times. The old file is replaced at
once, so that a bridge that starts meanwhile reads one of the two.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.cli.names import require_endpoint
from bridge.cli.new_key import NewKey, ed25519_pair, hmac_secret, shared_secret
from bridge.core.instant import instant_text
from bridge.core.signing.forms import HmacForm
from bridge.core.signing.jwks import public_text
from bridge.core.signing.key_text import ReadKey, key_texts, read_keys
from bridge.core.signing.keys import SigningKey
from bridge.errors import ConfigError
from bridge.settings.models.signing import key_reader
from bridge.settings.problem import printable

if TYPE_CHECKING:
    from bridge.settings import EndpointSettings, Settings
    from bridge.settings.reading.tree import Tree

_OVERLAP = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FILE = re.compile(r"\$\{file:(?P<file>[^${}\0]+)\}")
_RELOAD = (
    "Check with `hookferry reload` that every bridge has the new key. With `reload: off`, restart every"
    " bridge."
)
_RESTART = (
    "Restart every bridge (kubectl rollout restart deployment/NAME): an environment variable does not change"
    " in a running process. For a secret in a file, `hookferry reload` is enough."
)


class _Plan(NamedTuple):
    """A rotation: the new key, when it is made, when the old ones end, and if only one key can sign."""

    new: NewKey
    now_s: int
    end_s: int
    one_signature: bool

    @property
    def since(self) -> str:
        """The instant from which the new key signs."""
        return instant_text(self.end_s if self.one_signature else self.now_s)

    @property
    def until(self) -> str:
        """The instant from which the old keys no longer sign."""
        return instant_text(self.end_s)


def rotate_key(
    path: Path, settings: Settings, name: str, overlap: str, now_s: float, *, ed25519: bool
) -> Iterator[str]:
    """Rotate the key of an endpoint; yield what was done and what is left to do. Raises ``ConfigError``."""
    from bridge.settings import written_in

    require_endpoint(path, name, settings.endpoints)
    endpoint = settings.endpoints[name]
    plan = _plan(name, endpoint, int(now_s), _seconds(overlap), ed25519=ed25519)
    written = written_in(path)
    file = _key_file(path, written, name)
    if file is not None and os.access(file.parent, os.W_OK) and _is_in_force(file, endpoint):
        yield from _in_file(file, plan, key_reader(endpoint.signing_form))
        yield from _steps_after(name, endpoint, plan)
        shared = [other for other in settings.endpoints if _key_file(path, written, other) == file]
        if len(shared) > 1:
            yield f"Several endpoints use the file, and each receiver must switch: {', '.join(shared)}."
    else:
        yield from _by_hand(written, name, plan, file)


def _seconds(overlap: str) -> int:
    match = _OVERLAP.fullmatch(overlap)
    seconds = int(match["number"]) * _UNIT_S[match["unit"]] if match else 0
    if not 1 <= seconds <= 366 * 86_400:
        remedy = "write a number and s, m, h or d, such as 24h, and at most 366d"
        raise ConfigError([f'--overlap "{printable(overlap)}" is not a time; {remedy}'])
    return seconds


def _plan(name: str, endpoint: EndpointSettings, now_s: int, overlap_s: int, *, ed25519: bool) -> _Plan:
    form, keys, end_s = endpoint.signing_form, endpoint.signing_keys, now_s + overlap_s
    if later := [key for key in keys if key.since_s >= end_s]:
        begins = instant_text(later[0].since_s)
        cause = f"{name}: the key {later[0].name} begins at {begins}, after the end of this overlap"
        raise ConfigError([f"{cause}; wait until then, or give a longer --overlap"])
    if not isinstance(form, HmacForm):
        as_before = bool(keys) and keys[0].public is not None
        new = ed25519_pair() if ed25519 or as_before else shared_secret()
        return _Plan(new, now_s, end_s, one_signature=False)
    if ed25519:
        raise ConfigError([f"--ed25519: the form of {name} uses a shared secret; leave the option out"])
    return _Plan(hmac_secret(form.key_encoding), now_s, end_s, one_signature=form.separator is None)


def _entries(written: Tree, name: str) -> list[Any]:
    """Return the endpoint's list of keys as it is written."""
    for place in (("endpoints", name, "signing", "keys"), ("endpoints", name, "secrets")):
        entries = written.get(place)
        if isinstance(entries, list) and entries:
            return entries
    return []


def _key_file(path: Path, written: Tree, name: str) -> Path | None:
    """Return the file that the endpoint's first key comes from, if it comes from a file alone."""
    entries = _entries(written, name)
    match = _FILE.fullmatch(entries[0]) if entries and isinstance(entries[0], str) else None
    return None if match is None else (path.absolute().parent / match["file"]).resolve()


def _is_in_force(file: Path, endpoint: EndpointSettings) -> bool:
    """Return True if the keys come from the file, and no variable overrides them."""
    texts = key_texts(file.read_text("utf-8"))
    return endpoint.signing_texts[: len(texts)] == tuple(texts)


def _in_file(file: Path, plan: _Plan, read: ReadKey) -> Iterator[str]:
    """Write the new key into the file; the old ones get an end, and those that have ended are removed."""
    kept, ending, removed = [], [], []
    for line in file.read_text("utf-8").splitlines():
        keys = _keys_of(line, read)
        if not keys:
            kept.append(line)
        elif keys[0].until_s <= plan.now_s:
            removed.append(keys[0].name)
        elif keys[0].until_s == inf:
            kept.append(f"{line.rstrip()} until={plan.until}")
            ending.append(keys[0].name)
        else:
            kept.append(line)
    _replace(file, "\n".join([f"{plan.new.text} since={plan.since}", *kept]) + "\n")
    yield f"{file}: the new key {plan.new.key.name} is the first line."
    for name in ending:
        yield f"The key {name} signs until {plan.until}."
    for name in removed:
        yield f"The key {name} had ended and was removed."


def _keys_of(line: str, read: ReadKey) -> list[SigningKey]:
    stripped = line.strip()
    return read_keys(stripped, read) if stripped and not stripped.startswith("#") else []


def _replace(file: Path, text: str) -> None:
    """Replace a file at once. The new one has the mode of the old one, and never a wider one."""
    try:
        mode = file.stat().st_mode & 0o777
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except OSError as exc:
        raise ConfigError([f"{file}: cannot be written ({exc.strerror}); correct the permissions"]) from exc


def _steps_after(name: str, endpoint: EndpointSettings, plan: _Plan) -> Iterator[str]:
    yield ""
    yield f"1. {_give(plan)}"
    yield f"2. {_RELOAD}"
    yield f"3. {_switch(plan)}"
    if endpoint.signing is not None and len(endpoint.signing.keys) > 1:
        yield f"The other entries of signing.keys of {name} are unchanged: end them with until."
    if endpoint.signing is None and len(endpoint.secrets) > 1:
        yield f"The other entries of secrets of {name} are unchanged: remove them after the switch."


def _by_hand(written: Tree, name: str, plan: _Plan, file: Path | None) -> Iterator[str]:
    """Yield what the operator has to do; nothing was changed."""
    where = f"{file} cannot be written" if file else "its keys do not come from a file alone"
    yield f"Nothing was changed for {name}: {where}."
    yield ""
    yield f"1. Store the new key {plan.new.key.name} with your secrets, for example as NEW_SECRET:"
    yield plan.new.text
    yield f"2. {_give(plan)}"
    instead = ", in place of secrets" if written.get(("endpoints", name, "secrets")) else ""
    yield f"3. Write this into the endpoint {name}{instead}:"
    yield "    signing:"
    form = written.get(("endpoints", name, "signing", "form"))
    if isinstance(form, str):
        yield f"      form: {form}"
    elif form is not None:
        yield "      form: …                     # unchanged"
    yield "      keys:"
    yield f"        - {_entry('${env:NEW_SECRET}', plan.since, None)}"
    for entry in _entries(written, name):
        yield f"        - {_old_entry(entry, plan)}"
    yield f"4. {_RESTART}"
    yield f"5. {_switch(plan)}"


def _old_entry(entry: Any, plan: _Plan) -> str:
    if isinstance(entry, dict):
        return _entry(_shown(entry.get("secret")), entry.get("since"), entry.get("until") or plan.until)
    return _entry(_shown(entry), None, plan.until)


def _shown(text: Any) -> str:
    """Return a reference as it is written; another text is secret."""
    return (
        text if isinstance(text, str) and text.startswith("${") and text.endswith("}") else "… (the old key)"
    )


def _entry(secret: str, since: Any, until: Any) -> str:
    times = "".join(f", {key}: {value}" for key, value in (("since", since), ("until", until)) if value)
    return f'{{secret: "{secret}"{times}}}' if times else f'"{secret}"'


def _give(plan: _Plan) -> str:
    if plan.new.key.public is not None:
        return f"Give the receiver the new public key: {public_text(plan.new.key.public)}"
    return "Give the new key to the receiver."


def _switch(plan: _Plan) -> str:
    if plan.one_signature:
        return (
            f"Until {plan.until}, the old key signs, and from then on the new one. The receiver must accept"
            " both around that time."
        )
    return (
        f"Until {plan.until}, requests are signed with both keys. The receiver can switch at any time before."
    )

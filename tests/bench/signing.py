"""Cost of the signature of one attempt, for a body of 1 kB: Standard Webhooks v1, v1a, and the ready forms.

    python -m tests.bench.signing [--rounds N]

CPU time of this process in microseconds per attempt, the best of five rounds.
"""

from __future__ import annotations

import argparse
import functools

from bridge.core.signing import FORMS, HmacSigner, IdOnly, MessageSigner, Signer, SigningKey, StandardSigner
from bridge.core.signing.ed25519 import public_key
from bridge.model import Url
from tests.bench.cpu import cpu_us

TARGETS_US = {"v1": 4.0, "v1a": 60.0}
ID, AT, BODY = (
    "3f6d0c1e-1c57-4a0e-9a3e-5f1f0f2b7a10_4e528a52563adb3de38814bd93c0f09b",
    1_800_000_000,
    b"x" * 1000,
)
URL = Url("https", "receiver.example", 443, "/hooks")
SECRET, OTHER, SEED = SigningKey(b"k" * 32), SigningKey(b"o" * 32), bytes(range(32))


def signers() -> dict[str, Signer]:
    """Return the measured signers by name."""
    pair = SigningKey(SEED, public_key(SEED))
    return {
        "id and time alone": IdOnly(),
        "v1": StandardSigner([SECRET]),
        "v1, two keys": StandardSigner([SECRET, OTHER]),
        "v1a": StandardSigner([pair]),
        "rfc9421, shared secret": MessageSigner([SECRET]),
        **{form: HmacSigner(FORMS[form], [SECRET]) for form in FORMS},
    }


def main() -> None:
    """Print a line for each signer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3000)
    rounds = parser.parse_args().rounds
    for name, signer in signers().items():
        cost_us = cpu_us(functools.partial(signer.headers, ID, AT, BODY, "POST", URL), rounds)
        target = f" (target: at most {TARGETS_US[name]:g})" if name in TARGETS_US else ""
        print(f"{cost_us:7.2f} us  {name}{target}")


if __name__ == "__main__":
    main()

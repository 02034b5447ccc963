"""What is signed, in which form, and with which keys. Pure.

Invariant: a signature covers the exact bytes of the body as they are sent. A request of an endpoint that has
keys is never sent without a signature.
"""

from bridge.core.signing.forms import FORMS, HmacForm
from bridge.core.signing.keys import SigningKey
from bridge.core.signing.message_signatures import MessageSigner
from bridge.core.signing.signer import HmacSigner, IdOnly, NoSignature, Signer, StandardSigner

__all__ = [
    "FORMS",
    "HmacForm",
    "HmacSigner",
    "IdOnly",
    "MessageSigner",
    "NoSignature",
    "Signer",
    "SigningKey",
    "StandardSigner",
]

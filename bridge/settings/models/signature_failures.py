"""Settings that recognize answers about a wrong signature. Pure models."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from bridge.settings.models.base import Section, Whole

RefusalStatus = Annotated[Whole, Field(ge=300, le=599)]
RefusalText = Annotated[str, StringConstraints(min_length=3, max_length=200)]


class SignatureFailureSettings(Section):
    """Which answers complain of the signature. They are counted and logged; what follows is unchanged."""

    statuses: tuple[RefusalStatus, ...] = Field(
        default=(401, 403),
        min_length=1,
        max_length=20,
        description="Statuses of such answers. Some receivers use 400.",
    )
    texts: tuple[RefusalText, ...] = Field(
        default=("signature", "hmac", "message timestamp", "svix-", "whsec"),
        max_length=20,
        description="Texts of which the answer contains one, in any case: in the first 2 kB of its body or"
        " in WWW-Authenticate. Empty: the status is enough.",
    )

"""What every settings model is made of: the frozen base, bounded numbers, names, ``Mistake``.

Pure. Numbers refuse true and false, which YAML makes out of ``yes`` and ``on`` and pydantic would
take for 1 and 0; they accept digits in a string, since that is what an environment variable and
``${env:NAME}`` give.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
TOPIC = r"^[a-zA-Z0-9._-]{1,249}$"
GROUP = r"^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,149}$"
HOST_PORT = r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
LAST_PORT = 65_535
FIELD_PATH = r"^[^.\s]+(\.[^.\s]+)*$"

RECORD_PARTS = ("key", "offset", "topic")

PATTERN_REMEDIES = {
    NAME: "use lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters",
    TOPIC: "use letters, digits, dot, _ and -, at most 249 characters",
    GROUP: "use letters, digits, dot, _ and -, at most 150 characters and no dot in front",
    HOST_PORT: "write host:port, without a scheme, such as kafka-1:9092",
    FIELD_PATH: "write the names of the fields on the way, with dots between them, such as order.id",
}


class Section(BaseModel):
    """Base of every group of settings: cannot be changed, knows its keys and refuses others."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def mistake(cause: str, remedy: str) -> PydanticCustomError:
    """Make the error for a validator to raise; neither text may hold any part of a secret value."""
    return PydanticCustomError("mistake", "{cause}; {remedy}", {"cause": cause, "remedy": remedy})


def _not_a_flag(value: object) -> object:
    if isinstance(value, bool):
        raise mistake("is true or false, not a number", "give a number")
    return value


def _place(value: str) -> str:
    kind, colon, name = value.partition(":")
    if kind == "record" and colon and name not in RECORD_PARTS:
        raise mistake(
            "names no part of a record", f"write one of {', '.join(f'record:{p}' for p in RECORD_PARTS)}"
        )
    if kind == "header" and colon and not name:
        raise mistake("names no header", "write header:NAME")
    return value


def _network(value: object) -> object:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise mistake("is not a network", 'write it in quotes, such as "10.1.0.0/16"')
    try:
        return ip_network(value)
    except ValueError:
        remedy = "write address and prefix with no bits beyond it, such as 10.1.0.0/16"
        raise mistake("is not a network", remedy) from None


def _port(value: str) -> str:
    if not 0 < int(value.rpartition(":")[2]) <= LAST_PORT:
        raise mistake(f"ends in a port that is not between 1 and {LAST_PORT}", "correct the port")
    return value


Seconds = Annotated[float, BeforeValidator(_not_a_flag), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_not_a_flag)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Topic = Annotated[str, StringConstraints(pattern=TOPIC)]
Group = Annotated[str, StringConstraints(pattern=GROUP)]
HostPort = Annotated[str, StringConstraints(pattern=HOST_PORT), AfterValidator(_port)]
FieldPath = Annotated[str, StringConstraints(pattern=FIELD_PATH, max_length=512)]
FieldPlace = Annotated[FieldPath, AfterValidator(_place)]
"""A path into the value, ``header:NAME``, or ``record:key`` and the like (``bridge.formats.field_paths``)."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]

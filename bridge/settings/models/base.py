"""The parts of every settings model: the frozen base, number and name types, ``mistake``. Pure.

Numbers refuse true and false: YAML reads ``yes`` and ``on`` as true, which pydantic would accept as 1. They
accept digits in a string, because environment variables and ``${env:NAME}`` are strings.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
TOPIC = r"^!?[a-zA-Z0-9._*?\[\]!-]{1,249}$"
GROUP = r"^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,149}$"
HOST_PORT = r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
LAST_PORT = 65_535
HOST_NAME = r"^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$"
AWS_REGION = r"^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$"
FIELD_PATH = r"^[^.\s]+(\.[^.\s]+)*$"

RECORD_PARTS = ("key", "offset", "topic")

PATTERN_REMEDIES = {
    NAME: "use at most 63 lower-case letters, digits, _ and -, and begin with a letter or digit",
    TOPIC: "use letters, digits, dot, _ and -, at most 249 characters; in patterns also * ? and [abc]",
    GROUP: "use letters, digits, dot, _ and -, at most 150 characters, and no dot in front",
    HOST_PORT: "write host:port, without a scheme, such as kafka-1:9092",
    HOST_NAME: "write a name without scheme and port, such as hookferry.monitoring.svc",
    AWS_REGION: "write the name of a region, such as eu-central-1",
    FIELD_PATH: "write the field names from the outside in, with dots between them, such as order.id",
}


class Section(BaseModel):
    """Base of every group of settings: immutable, and unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def mistake(cause: str, remedy: str) -> PydanticCustomError:
    """Create the error that a validator raises. Neither text may contain any part of a secret value."""
    return PydanticCustomError("mistake", "{cause}; {remedy}", {"cause": cause, "remedy": remedy})


def _not_a_flag(value: object) -> object:
    if isinstance(value, bool):
        raise mistake("is true or false, not a number", "set a number")
    return value


def _place(value: str) -> str:
    kind, colon, name = value.partition(":")
    if kind == "record" and colon and name not in RECORD_PARTS:
        raise mistake(
            "does not name a part of a record",
            f"write one of {', '.join(f'record:{p}' for p in RECORD_PARTS)}",
        )
    if kind == "header" and colon and not name:
        raise mistake("does not name a header", "write header:NAME")
    return value


def _network(value: object) -> object:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise mistake("is not a network", 'write it in quotes, such as "10.1.0.0/16"')
    try:
        return ip_network(value)
    except ValueError:
        remedy = "write an address and a prefix, with zeros after the prefix, such as 10.1.0.0/16"
        raise mistake("is not a network", remedy) from None


def _port(value: str) -> str:
    if not 0 < int(value.rpartition(":")[2]) <= LAST_PORT:
        raise mistake(f"ends in a port that is not between 1 and {LAST_PORT}", "correct the port")
    return value


Seconds = Annotated[float, BeforeValidator(_not_a_flag), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_not_a_flag)]
Port = Annotated[int, BeforeValidator(_not_a_flag), Field(ge=1, le=LAST_PORT)]
HostName = Annotated[str, StringConstraints(pattern=HOST_NAME)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Group = Annotated[str, StringConstraints(pattern=GROUP)]
HostPort = Annotated[str, StringConstraints(pattern=HOST_PORT), AfterValidator(_port)]
FieldPath = Annotated[str, StringConstraints(pattern=FIELD_PATH, max_length=512)]
FieldPlace = Annotated[FieldPath, AfterValidator(_place)]
"""A path into the value, ``header:NAME``, or ``record:key`` and the like (``bridge.formats.field_paths``)."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]

"""The preset for receivers of Fineract's old hooks: the same headers, ids and names. Pure.

What a hook took from the API call itself (``request``, who called) is not in an event, so those
are empty. Entity and action are those of the old hooks where the event has a counterpart there;
another type is told by its own words, ``LoanBalanceChanged`` as LOAN and BALANCECHANGED.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bridge.model import Event
from bridge.presets import words
from bridge.presets.fit import one_line
from bridge.presets.preset import Headers, Preset
from bridge.render import to_json

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_LOAN, _CHARGE, _CLIENT, _SAVINGS = "LOAN", "LOANCHARGE", "CLIENT", "SAVINGSACCOUNT"
ACTIONS = {
    "LoanCreated": (_LOAN, "CREATE"),
    "LoanApproved": (_LOAN, "APPROVE"),
    "LoanRejected": (_LOAN, "REJECT"),
    "LoanUndoApproval": (_LOAN, "APPROVALUNDO"),
    "LoanDisbursal": (_LOAN, "DISBURSE"),
    "LoanUndoDisbursal": (_LOAN, "DISBURSALUNDO"),
    "LoanTransactionMakeRepaymentPost": (_LOAN, "REPAYMENT"),
    "LoanAdjustTransaction": (_LOAN, "ADJUST"),
    "LoanWrittenOffPost": (_LOAN, "WRITEOFF"),
    "LoanAddCharge": (_CHARGE, "CREATE"),
    "LoanWaiveCharge": (_CHARGE, "WAIVE"),
    "LoanDeleteCharge": (_CHARGE, "DELETE"),
    "ClientCreate": (_CLIENT, "CREATE"),
    "ClientActivate": (_CLIENT, "ACTIVATE"),
    "ClientReject": (_CLIENT, "REJECT"),
    "SavingsCreate": (_SAVINGS, "CREATE"),
    "SavingsApprove": (_SAVINGS, "APPROVE"),
    "SavingsActivate": (_SAVINGS, "ACTIVATE"),
    "SavingsClose": (_SAVINGS, "CLOSE"),
    "SavingsDeposit": (_SAVINGS, "DEPOSIT"),
    "SavingsWithdrawal": (_SAVINGS, "WITHDRAWAL"),
    "GroupsCreate": ("GROUP", "CREATE"),
    "CentersCreate": ("CENTER", "CREATE"),
}
"""Event types, without their suffix, and what the old hooks called them."""


def action(type: str) -> tuple[str, str]:
    """Entity and action of an event type."""
    if found := ACTIONS.get(type.removesuffix("BusinessEvent")):
        return found
    head, *tail = [_UNSAFE.sub("", word).upper() for word in words.words_of(type)] or ["EVENT"]
    return head or "EVENT", "".join(tail) or "EVENT"


def headers(event: Event) -> Headers:
    """The three headers that receivers of hooks look at."""
    entity, what = action(event.type)
    tenant = _UNSAFE.sub("", event.tenant or "") or "default"
    return (
        (b"x-fineract-entity", entity.encode()),
        (b"x-fineract-action", what.encode()),
        (b"fineract-platform-tenantid", tenant.encode()),
    )


def body(event: Event) -> bytes:
    """The hook's body."""
    entity, what = action(event.type)
    data = event.payload()
    data = data if isinstance(data, Mapping) else {}
    return to_json(
        {
            "entityName": entity,
            "actionName": what,
            "createdBy": None,
            "createdByName": None,
            "createdByFullName": None,
            "request": {},
            "officeId": _id(data, "officeId", "clientOfficeId"),
            "clientId": _client(event, entity, data),
            "response": _response(event, entity, data),
            "timestamp": event.time,
        }
    )


def _response(event: Event, entity: str, data: Mapping[str, Any]) -> dict[str, Any]:
    about = _number(event.entity)
    found: dict[str, Any] = {}
    if entity in {_LOAN, _CHARGE}:
        found["loanId"] = _id(data, "loanId", "transactionToAdjust.loanId") or about or _id(data, "id")
    elif entity == _SAVINGS:
        found["savingsId"] = _id(data, "accountId") or about or _id(data, "id")
    elif entity == "GROUP":
        found["groupId"] = _id(data, "groupId") or about
    found["resourceId"] = _id(data, "newTransactionDetail.id", "id", "resourceId") or about
    found["clientId"] = _client(event, entity, data)
    found["officeId"] = _id(data, "officeId", "clientOfficeId")
    return {name: value for name, value in found.items() if value is not None} | {"changes": {}}


def _client(event: Event, entity: str, data: Mapping[str, Any]) -> int | str | None:
    found = _id(data, "clientId")
    return found if found is not None or entity != _CLIENT else _id(data, "id") or _number(event.entity)


def _id(data: Mapping[str, Any], *paths: str) -> int | str | None:
    for path in paths:
        value = words.at(data, path)
        if isinstance(value, int) and not isinstance(value, bool):
            return value if abs(value) < 2**63 else str(value)
        if isinstance(value, str) and value:
            return _number(value)
    return None


def _number(value: str | None) -> int | str | None:
    """An id as the number it is, so that a receiver's typed reader takes it."""
    if (
        value
        and value.isascii()
        and value.isdigit()
        and len(value) < 19
        and (value == "0" or value[0] != "0")
    ):
        return int(value)
    return one_line(value)[:400] if value else None


FINERACT_HOOK = Preset(
    name="fineract-hook",
    receiver="receiver of Fineract's old hooks",
    body=body,
    headers=headers,
)

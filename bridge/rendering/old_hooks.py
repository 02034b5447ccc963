"""Body and headers of Fineract's old web hooks, for receivers that were written for them.

An external event contains names, ids and the time, but not the original request and its user. So
``request`` is empty and ``createdBy`` is missing. A type without an old hook is a ``RenderError``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bridge.errors import RenderError
from bridge.model import Event, FieldSet
from bridge.rendering import CONTENT_TYPE, Headers, to_json


class Hook(NamedTuple):
    """The names of an event in the old hooks."""

    entity: str
    action: str


_LOAN, _CHARGE, _CLIENT, _SAVINGS = "LOAN", "LOANCHARGE", "CLIENT", "SAVINGSACCOUNT"
_END = "BusinessEvent"
HOOKS: dict[str, Hook] = {
    "LoanCreated" + _END: Hook(_LOAN, "CREATE"),
    "LoanApproved" + _END: Hook(_LOAN, "APPROVE"),
    "LoanRejected" + _END: Hook(_LOAN, "REJECT"),
    "LoanUndoApproval" + _END: Hook(_LOAN, "APPROVALUNDO"),
    "LoanDisbursal" + _END: Hook(_LOAN, "DISBURSE"),
    "LoanUndoDisbursal" + _END: Hook(_LOAN, "DISBURSALUNDO"),
    "LoanTransactionMakeRepaymentPost" + _END: Hook(_LOAN, "REPAYMENT"),
    "LoanAdjustTransaction" + _END: Hook(_LOAN, "ADJUST"),
    "LoanWrittenOffPost" + _END: Hook(_LOAN, "WRITEOFF"),
    "LoanAddCharge" + _END: Hook(_CHARGE, "CREATE"),
    "LoanWaiveCharge" + _END: Hook(_CHARGE, "WAIVE"),
    "LoanDeleteCharge" + _END: Hook(_CHARGE, "DELETE"),
    "ClientCreate" + _END: Hook(_CLIENT, "CREATE"),
    "ClientActivate" + _END: Hook(_CLIENT, "ACTIVATE"),
    "ClientReject" + _END: Hook(_CLIENT, "REJECT"),
    "SavingsCreate" + _END: Hook(_SAVINGS, "CREATE"),
    "SavingsApprove" + _END: Hook(_SAVINGS, "APPROVE"),
    "SavingsActivate" + _END: Hook(_SAVINGS, "ACTIVATE"),
    "SavingsClose" + _END: Hook(_SAVINGS, "CLOSE"),
    "SavingsDeposit" + _END: Hook(_SAVINGS, "DEPOSIT"),
    "SavingsWithdrawal" + _END: Hook(_SAVINGS, "WITHDRAWAL"),
    "GroupsCreate" + _END: Hook("GROUP", "CREATE"),
    "CentersCreate" + _END: Hook("CENTER", "CREATE"),
}

READS: FieldSet = frozenset(
    (name,) for name in ("id", "accountId", "clientId", "clientOfficeId", "loanId", "officeId", "resourceId")
)
"""What the body reads of the payload."""


def fineract_hook(event: Event) -> tuple[Headers, bytes]:
    """Render headers and body like the old hooks. Raises ``DecodeError`` and ``RenderError``."""
    hook = HOOKS.get(event.type)
    if hook is None:
        raise RenderError(
            f"Fineract's old hooks have no name for {event.type[:200]}; remove it from the endpoint's events"
        )
    headers = [
        (b"content-type", CONTENT_TYPE),
        (b"x-fineract-entity", hook.entity.encode("ascii")),
        (b"x-fineract-action", hook.action.encode("ascii")),
    ]
    if event.tenant is not None:
        tenant = "".join(char for char in event.tenant if char.isprintable() and char.isascii())
        headers.append((b"fineract-platform-tenantid", tenant.encode("ascii")))
    return tuple(headers), to_json(_body(hook, event))


def _body(hook: Hook, event: Event) -> dict[str, Any]:
    payload = event.data(READS)
    data: dict[str, Any] = payload if isinstance(payload, dict) else {}
    body: dict[str, Any] = {"entityName": hook.entity, "actionName": hook.action, "request": {}}
    office, client = data.get("clientOfficeId", data.get("officeId")), data.get("clientId")
    if hook.entity == _CLIENT:
        client = data.get("id", data.get("clientId"))
    if office is not None:
        body["officeId"] = office
    response: dict[str, Any] = {
        **_owner(hook, event, data),
        "resourceId": data.get("id", data.get("resourceId")),
    }
    if client is not None:
        body["clientId"] = response["clientId"] = client
    response["changes"] = {}
    return {**body, "response": response, "timestamp": event.time}


def _owner(hook: Hook, event: Event, data: dict[str, Any]) -> dict[str, Any]:
    """Return the account of the event: a transaction contains its id, an account event is about itself."""
    if hook.entity in (_LOAN, _CHARGE):
        return {"loanId": data.get("loanId", _as_id(event.entity))}
    if hook.entity == _SAVINGS:
        return {"savingsId": data.get("accountId", _as_id(event.entity))}
    return {}


def _as_id(entity: str | None) -> int | str | None:
    return (
        int(entity)
        if entity is not None and entity.isascii() and entity.isdigit() and len(entity) < 19
        else entity
    )

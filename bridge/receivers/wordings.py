"""How Fineract's commonest events are told: a title, a tone and the facts people ask for. Pure.

Part of the presets. A table, so that a further event type is a line; Fineract's other types are told like
their family, and everything else by ``notice.generic``. Field names are those of Fineract's V1 payloads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.model import Event
from bridge.receivers.notice import MAX_FIELDS, Field, Look, Notice, Tone, footer, generic
from bridge.receivers.words import spoken

Fact = tuple[str, Callable[[Look], str], str]
"""Its label, how it is found, and how it stands in the summary ("" where it does not)."""
_SUFFIX = "BusinessEvent"


class Wording(NamedTuple):
    """How one event type is told."""

    title: str
    tone: Tone
    facts: tuple[Fact, ...]


def _key(label: str, find: Callable[[Look], str], told: str = "{}") -> Fact:
    return label, find, told


def _also(label: str, find: Callable[[Look], str]) -> Fact:
    return label, find, ""


_CLIENT = _key("Client", lambda look: look.text("clientName", "displayName", "fullname", "clientId"))
_LOAN = _key("Loan", lambda look: look.text("accountNo", "loanAccountNo", "loanId", "id"), "loan {}")
_ACCOUNT = _key("Account", lambda look: look.text("accountNo", "accountId", "id"), "account {}")
_PRODUCT = _also(
    "Product", lambda look: look.text("loanProductName", "savingsProductName", "depositProductName")
)
_OFFICER = _also("Officer", lambda look: look.text("loanOfficerName", "fieldOfficerName", "staffName"))
_OFFICE = _also("Office", lambda look: look.text("officeName"))
_REFERENCE = _also("Reference", lambda look: look.text("externalId", "loanExternalId", "externalLoanId"))
_RECEIPT = _also("Receipt", lambda look: look.text("paymentDetailData.receiptNumber"))
_NOTE = _also("Note", lambda look: look.text("note"))
_STATUS = _also("Status", lambda look: look.text("status"))
_AMOUNT = _key("Amount", lambda look: look.money("amount"))
_PRINCIPAL = _key("Principal", lambda look: look.money("principal", "proposedPrincipal"))
_APPROVED = _key("Approved", lambda look: look.money("approvedPrincipal", "principal"))
_PAID_OUT = _key(
    "Paid out", lambda look: look.money("netDisbursalAmount", "amount", "approvedPrincipal", "principal")
)


def _day(label: str, *paths: str) -> Fact:
    def find(look: Look) -> str:
        return look.date(*paths) or look.event.context.get("businessDate", "")

    return _also(label, find)


def _by(who: str) -> Fact:
    return _also("By", lambda look: look.text(f"timeline.{who}ByUsername"))


_PARTS = (
    _also("Principal", lambda look: look.spent("principalPortion")),
    _also("Interest", lambda look: look.spent("interestPortion")),
    _also("Fees", lambda look: look.spent("feeChargesPortion")),
    _also("Penalties", lambda look: look.spent("penaltyChargesPortion")),
    _also("Still owed", lambda look: look.money("outstandingLoanBalance")),
)
_DATE = _day("Date", "date", "submittedOnDate")
_MOVEMENT = (_AMOUNT, _LOAN, _DATE, *_PARTS, _RECEIPT, _REFERENCE)
_DUE = (
    _key("Due", lambda look: look.money("installment.totalAmountDue")),
    _LOAN,
    _also("Due date", lambda look: look.date("installment.installmentDueDate")),
    _also("Instalment", lambda look: look.text("installment.installmentNumber")),
    _also("Past due", lambda look: look.spent("pastDueAmount.totalAmount")),
    _REFERENCE,
)
_CHARGE = (
    _key("Charge", lambda look: look.text("name")),
    _AMOUNT,
    _LOAN,
    _also("Due date", lambda look: look.date("dueDate")),
    _also("Outstanding", lambda look: look.money("amountOutstanding")),
)


def _about_loan(amount: Fact, day: Fact, *more: Fact) -> tuple[Fact, ...]:
    return amount, _CLIENT, _LOAN, day, _PRODUCT, *more, _OFFICER, _REFERENCE


def _about_account(day: Fact, *more: Fact) -> tuple[Fact, ...]:
    return _CLIENT, _ACCOUNT, day, _PRODUCT, *more, _OFFICER, _REFERENCE


def _about_client(day: Fact) -> tuple[Fact, ...]:
    number = _key("Client number", lambda look: look.text("accountNo", "id"), "client {}")
    return _CLIENT, number, day, _OFFICE, _OFFICER, _REFERENCE


_SAVED = (
    _AMOUNT,
    _ACCOUNT,
    _DATE,
    _also("Balance", lambda look: look.money("runningBalance")),
    _RECEIPT,
    _also("By", lambda look: look.text("submittedByUsername")),
    _NOTE,
)
_GOOD, _PLAIN, _BAD = Tone.GOOD, Tone.NEUTRAL, Tone.BAD
_EXPECTED = _also("Pay-out expected", lambda look: look.date("timeline.expectedDisbursementDate"))
_ADJUSTED = (
    _key("Was", lambda look: look.money("transactionToAdjust.amount"), "was {}"),
    _key("Is now", lambda look: look.money("newTransactionDetail.amount"), "is now {}"),
    _key("Loan", lambda look: look.text("transactionToAdjust.loanId"), "loan {}"),
    _also("Date", lambda look: look.date("transactionToAdjust.date")),
    _also("Kind", lambda look: look.text("transactionToAdjust.type")),
)
_RANGE = (
    _key("Range", lambda look: look.text("delinquencyRange.classification")),
    _LOAN,
    _also("Overdue", lambda look: look.spent("amount.totalAmount")),
    _also("Since", lambda look: look.date("delinquentDate")),
    _REFERENCE,
)

WORDINGS: dict[str, Wording] = {
    f"{name}{_SUFFIX}": Wording(title, tone, facts)
    for name, title, tone, facts in (
        ("LoanCreated", "Loan applied for", _PLAIN,
         _about_loan(_PRINCIPAL, _day("Submitted", "timeline.submittedOnDate"), _by("submitted"))),
        ("LoanApproved", "Loan approved", _GOOD,
         _about_loan(_APPROVED, _day("Approved on", "timeline.approvedOnDate"), _EXPECTED, _by("approved"))),
        ("LoanUndoApproval", "Loan approval undone", _BAD,
         _about_loan(_PRINCIPAL, _day("Date"))),
        ("LoanRejected", "Loan rejected", _BAD,
         _about_loan(_PRINCIPAL, _day("Rejected on", "timeline.rejectedOnDate"), _by("rejected"))),
        ("LoanWithdrawnByApplicant", "Loan application withdrawn", _PLAIN,
         _about_loan(_PRINCIPAL, _day("Withdrawn on", "timeline.withdrawnOnDate"))),
        ("LoanDisbursal", "Loan disbursed", _GOOD,
         _about_loan(_PAID_OUT, _day("Paid out on", "timeline.actualDisbursementDate"), _by("disbursed"))),
        ("LoanUndoDisbursal", "Loan disbursal undone", _BAD,
         _about_loan(_PRINCIPAL, _day("Date"))),
        ("LoanDisbursalTransaction", "Loan paid out", _GOOD, _MOVEMENT),
        ("LoanStatusChanged", "Loan status changed", _PLAIN,
         _about_loan(_PRINCIPAL, _day("Date"), _STATUS)),
        ("LoanClose", "Loan closed", _GOOD,
         _about_loan(_PRINCIPAL, _day("Closed on", "timeline.closedOnDate"))),
        ("LoanTransactionMakeRepaymentPost", "Loan repayment received", _GOOD, _MOVEMENT),
        ("LoanTransactionDownPaymentPost", "Loan down payment received", _GOOD, _MOVEMENT),
        ("LoanTransactionRecoveryPaymentPost", "Recovery payment received", _GOOD, _MOVEMENT),
        ("LoanForeClosurePost", "Loan foreclosed", _PLAIN, _MOVEMENT),
        ("LoanAdjustTransaction", "Loan transaction adjusted", _BAD, _ADJUSTED),
        ("LoanWrittenOffPost", "Loan written off", _BAD, _MOVEMENT),
        ("LoanUndoWrittenOff", "Loan write-off undone", _PLAIN, _MOVEMENT),
        ("LoanChargeOffPost", "Loan charged off", _BAD, _MOVEMENT),
        ("LoanUndoChargeOff", "Loan charge-off undone", _PLAIN, _MOVEMENT),
        ("LoanChargebackTransaction", "Loan payment charged back", _BAD, _MOVEMENT),
        ("LoanRepaymentDue", "Loan repayment due", _PLAIN, _DUE),
        ("LoanRepaymentOverdue", "Loan repayment overdue", _BAD, _DUE),
        ("LoanDelinquencyRangeChange", "Loan delinquency changed", _BAD, _RANGE),
        ("LoanAddCharge", "Loan charge added", _PLAIN, _CHARGE),
        ("LoanWaiveCharge", "Loan charge waived", _PLAIN, _CHARGE),
        ("SavingsCreate", "Savings account applied for", _PLAIN,
         _about_account(_day("Submitted", "timeline.submittedOnDate"))),
        ("SavingsApprove", "Savings account approved", _GOOD,
         _about_account(_day("Approved on", "timeline.approvedOnDate"))),
        ("SavingsActivate", "Savings account activated", _GOOD,
         _about_account(_day("Activated on", "timeline.activatedOnDate"))),
        ("SavingsReject", "Savings account rejected", _BAD,
         _about_account(_day("Rejected on", "timeline.rejectedOnDate"))),
        ("SavingsClose", "Savings account closed", _PLAIN,
         _about_account(_day("Closed on", "timeline.closedOnDate"))),
        ("SavingsDeposit", "Savings deposit", _GOOD, _SAVED),
        ("SavingsWithdrawal", "Savings withdrawal", _PLAIN, _SAVED),
        ("ClientCreate", "Client created", _PLAIN,
         _about_client(_day("Submitted", "timeline.submittedOnDate"))),
        ("ClientActivate", "Client activated", _GOOD,
         _about_client(_day("Activated on", "activationDate", "timeline.activatedOnDate"))),
        ("ClientReject", "Client rejected", _BAD,
         _about_client(_day("Date"))),
    )
}  # fmt: skip


_FAMILIES: dict[str, tuple[Fact, ...]] = {  # the first that fits: the longer beginnings first
    "LoanProduct": (_key("Product", lambda look: look.text("name")), _DATE, _STATUS, _REFERENCE),
    "Loan": (_AMOUNT, _PRINCIPAL, _CLIENT, _LOAN, _DATE, _PRODUCT, _STATUS, _OFFICER, _REFERENCE),
    "WorkingCapitalLoan": (_AMOUNT, _CLIENT, _LOAN, _DATE, _PRODUCT, _STATUS, _REFERENCE),
    **dict.fromkeys(
        ("FixedDepositAccount", "RecurringDepositAccount", "ShareAccount"),
        (_CLIENT, _ACCOUNT, _DATE, _PRODUCT, _STATUS, _OFFICER, _REFERENCE),
    ),
    "Savings": (_AMOUNT, _CLIENT, _ACCOUNT, _DATE, _PRODUCT, _STATUS, _OFFICER, _REFERENCE),
    "Client": (_CLIENT, _DATE, _OFFICE, _STATUS, _OFFICER, _REFERENCE),
}


def _like_its_family(type: str) -> Wording | None:
    """What is worth telling of any event about a loan, an account or a client of Fineract's."""
    if not type.endswith(_SUFFIX):
        return None
    facts = next((facts for family, facts in _FAMILIES.items() if type.startswith(family)), None)
    return None if facts is None else Wording(spoken(type), _PLAIN, facts)


def notice(event: Event) -> Notice:
    """What there is to tell about an event. Raises ``DecodeError`` where its payload cannot be read."""
    look = Look(event)
    wording = WORDINGS.get(event.type) or _like_its_family(event.type)
    if wording is None:
        return generic(look)
    found = [
        Field(label, value, told.format(value))
        for label, find, told in wording.facts
        if (value := find(look))
    ]
    if not any(field.told for field in found):  # another system's event of the same name
        return generic(look)._replace(title=wording.title, tone=wording.tone)
    return Notice(wording.title, wording.tone, tuple(found[:MAX_FIELDS]), footer(event))

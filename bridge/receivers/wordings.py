"""Wordings of Fineract's most common events: a title, a tone and the facts that people need.

It is a table, so that another event type needs only one entry. Fineract's other types get the facts of
their family, and all other events a generic notice. Field names are those of Fineract's V1 payloads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.model import Event
from bridge.receivers.humanize import event_title
from bridge.receivers.notice import MAX_FIELDS, Field, Notice, PayloadView, Tone, build_footer, generic_notice

Fact = tuple[str, Callable[[PayloadView], str], str]
"""Its label, a function that finds it, and its format in the summary ("" if it is left out)."""
_SUFFIX = "BusinessEvent"


class Wording(NamedTuple):
    """The wording of one event type."""

    title: str
    tone: Tone
    facts: tuple[Fact, ...]


def _key(label: str, find: Callable[[PayloadView], str], in_summary: str = "{}") -> Fact:
    return label, find, in_summary


def _also(label: str, find: Callable[[PayloadView], str]) -> Fact:
    return label, find, ""


_CLIENT = _key("Client", lambda view: view.text("clientName", "displayName", "fullname", "clientId"))
_LOAN = _key("Loan", lambda view: view.text("accountNo", "loanAccountNo", "loanId", "id"), "loan {}")
_ACCOUNT = _key("Account", lambda view: view.text("accountNo", "accountId", "id"), "account {}")
_PRODUCT = _also(
    "Product", lambda view: view.text("loanProductName", "savingsProductName", "depositProductName")
)
_OFFICER = _also("Officer", lambda view: view.text("loanOfficerName", "fieldOfficerName", "staffName"))
_OFFICE = _also("Office", lambda view: view.text("officeName"))
_REFERENCE = _also("Reference", lambda view: view.text("externalId", "loanExternalId", "externalLoanId"))
_RECEIPT = _also("Receipt", lambda view: view.text("paymentDetailData.receiptNumber"))
_NOTE = _also("Note", lambda view: view.text("note"))
_STATUS = _also("Status", lambda view: view.text("status"))
_AMOUNT = _key("Amount", lambda view: view.money("amount"))
_PRINCIPAL = _key("Principal", lambda view: view.money("principal", "proposedPrincipal"))
_APPROVED = _key("Approved", lambda view: view.money("approvedPrincipal", "principal"))
_PAID_OUT = _key(
    "Paid out", lambda view: view.money("netDisbursalAmount", "amount", "approvedPrincipal", "principal")
)


def _day(label: str, *paths: str) -> Fact:
    def find(view: PayloadView) -> str:
        return view.date(*paths) or view.event.context.get("businessDate", "")

    return _also(label, find)


def _by(who: str) -> Fact:
    return _also("By", lambda view: view.text(f"timeline.{who}ByUsername"))


_PARTS = (
    _also("Principal", lambda view: view.spent("principalPortion")),
    _also("Interest", lambda view: view.spent("interestPortion")),
    _also("Fees", lambda view: view.spent("feeChargesPortion")),
    _also("Penalties", lambda view: view.spent("penaltyChargesPortion")),
    _also("Still owed", lambda view: view.money("outstandingLoanBalance")),
)
_DATE = _day("Date", "date", "submittedOnDate")
_MOVEMENT = (_AMOUNT, _LOAN, _DATE, *_PARTS, _RECEIPT, _REFERENCE)
_DUE = (
    _key("Due", lambda view: view.money("installment.totalAmountDue")),
    _LOAN,
    _also("Due date", lambda view: view.date("installment.installmentDueDate")),
    _also("Instalment", lambda view: view.text("installment.installmentNumber")),
    _also("Past due", lambda view: view.spent("pastDueAmount.totalAmount")),
    _REFERENCE,
)
_CHARGE = (
    _key("Charge", lambda view: view.text("name")),
    _AMOUNT,
    _LOAN,
    _also("Due date", lambda view: view.date("dueDate")),
    _also("Outstanding", lambda view: view.money("amountOutstanding")),
)


def _about_loan(amount: Fact, day: Fact, *more: Fact) -> tuple[Fact, ...]:
    return amount, _CLIENT, _LOAN, day, _PRODUCT, *more, _OFFICER, _REFERENCE


def _about_account(day: Fact, *more: Fact) -> tuple[Fact, ...]:
    return _CLIENT, _ACCOUNT, day, _PRODUCT, *more, _OFFICER, _REFERENCE


def _about_client(day: Fact) -> tuple[Fact, ...]:
    number = _key("Client number", lambda view: view.text("accountNo", "id"), "client {}")
    return _CLIENT, number, day, _OFFICE, _OFFICER, _REFERENCE


_SAVED = (
    _AMOUNT,
    _ACCOUNT,
    _DATE,
    _also("Balance", lambda view: view.money("runningBalance")),
    _RECEIPT,
    _also("By", lambda view: view.text("submittedByUsername")),
    _NOTE,
)
_GOOD, _PLAIN, _BAD = Tone.GOOD, Tone.NEUTRAL, Tone.BAD
_EXPECTED = _also("Pay-out expected", lambda view: view.date("timeline.expectedDisbursementDate"))
_ADJUSTED = (
    _key("Was", lambda view: view.money("transactionToAdjust.amount"), "was {}"),
    _key("Is now", lambda view: view.money("newTransactionDetail.amount"), "is now {}"),
    _key("Loan", lambda view: view.text("transactionToAdjust.loanId"), "loan {}"),
    _also("Date", lambda view: view.date("transactionToAdjust.date")),
    _also("Kind", lambda view: view.text("transactionToAdjust.type")),
)
_RANGE = (
    _key("Range", lambda view: view.text("delinquencyRange.classification")),
    _LOAN,
    _also("Overdue", lambda view: view.spent("amount.totalAmount")),
    _also("Since", lambda view: view.date("delinquentDate")),
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


_FAMILIES: dict[str, tuple[Fact, ...]] = {  # the first match is used, so longer prefixes come first
    "LoanProduct": (_key("Product", lambda view: view.text("name")), _DATE, _STATUS, _REFERENCE),
    "Loan": (_AMOUNT, _PRINCIPAL, _CLIENT, _LOAN, _DATE, _PRODUCT, _STATUS, _OFFICER, _REFERENCE),
    "WorkingCapitalLoan": (_AMOUNT, _CLIENT, _LOAN, _DATE, _PRODUCT, _STATUS, _REFERENCE),
    **dict.fromkeys(
        ("FixedDepositAccount", "RecurringDepositAccount", "ShareAccount"),
        (_CLIENT, _ACCOUNT, _DATE, _PRODUCT, _STATUS, _OFFICER, _REFERENCE),
    ),
    "Savings": (_AMOUNT, _CLIENT, _ACCOUNT, _DATE, _PRODUCT, _STATUS, _OFFICER, _REFERENCE),
    "Client": (_CLIENT, _DATE, _OFFICE, _STATUS, _OFFICER, _REFERENCE),
}


def _family_wording(type: str) -> Wording | None:
    """Return the wording for any other Fineract event about a loan, an account or a client."""
    if not type.endswith(_SUFFIX):
        return None
    facts = next((facts for family, facts in _FAMILIES.items() if type.startswith(family)), None)
    return None if facts is None else Wording(event_title(type), _PLAIN, facts)


def build_notice(event: Event) -> Notice:
    """Build the notice of an event. Raises ``DecodeError`` if its payload cannot be decoded."""
    view = PayloadView(event)
    wording = WORDINGS.get(event.type) or _family_wording(event.type)
    if wording is None:
        return generic_notice(view)
    fields = [
        Field(label, value, in_summary.format(value))
        for label, find, in_summary in wording.facts
        if (value := find(view))
    ]
    if not any(field.in_summary for field in fields):  # another system's event with the same name
        return generic_notice(view)._replace(title=wording.title, tone=wording.tone)
    return Notice(wording.title, wording.tone, tuple(fields[:MAX_FIELDS]), build_footer(event))

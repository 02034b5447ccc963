"""Payloads of Fineract's most common event types, as its decoder produces them, and the schema of each type.

Pure data. People and amounts are invented; the field names are those of Fineract's schemas (development
branch of 2026-06-29). Rarely used fields are left out; ``generated`` adds them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_LOAN_PACKAGE = "org.apache.fineract.avro.loan.v1."
_SAVINGS_PACKAGE = "org.apache.fineract.avro.savings.v1."
_LOAN, _LOAN_TRANSACTION = _LOAN_PACKAGE + "LoanAccountDataV1", _LOAN_PACKAGE + "LoanTransactionDataV1"
_LOAN_CHARGE = _LOAN_PACKAGE + "LoanChargeDataV1"
_SAVINGS_TRANSACTION = _SAVINGS_PACKAGE + "SavingsAccountTransactionDataV1"
_RESULT = "org.apache.fineract.avro.generic.v1.CommandProcessingResultV1"
_DOCUMENT = "org.apache.fineract.avro.document.v1.DocumentDataV1"
_SHARE = "org.apache.fineract.avro.share.v1.ShareAccountDataV1"
_RECURRING = "org.apache.fineract.avro.recurringdeposit.v1.RecurringDepositAccountDataV1"
_END = "BusinessEvent"

CATEGORIES = (
    ("Client", "Client"), ("Savings", "Savings"), ("Groups", "Group"), ("Centers", "Group"),
    ("Document", "Document"), ("Share", "Share"), ("FixedDeposit", "Deposit"), ("Recurring", "Deposit"),
    ("WorkingCapitalLoan", "WorkingCapitalLoan"), ("Bulk", "Bulk"),
)  # fmt: skip
"""Prefixes of types with Fineract's category; all other types are ``Loan``."""

_EXACT = {
    "Bulk": "org.apache.fineract.avro.BulkMessagePayloadV1",
    "FixedDepositAccountCreate": "org.apache.fineract.avro.fixeddeposit.v1.FixedDepositAccountDataV1",
    "RecurringDepositAccountCreate": _RECURRING,
    "DocumentCreated": _DOCUMENT,
    "DocumentDeleted": _DOCUMENT,
    "CentersCreate": _RESULT,
    "GroupsCreate": _RESULT,
    "LoanOwnershipTransfer": _LOAN_PACKAGE + "LoanOwnershipTransferDataV1",
    "LoanDelinquencyRangeChange": _LOAN_PACKAGE + "LoanAccountDelinquencyRangeDataV1",
    "LoanAddCharge": _LOAN_CHARGE,
    "LoanUpdateCharge": _LOAN_CHARGE,
    "LoanWaiveCharge": _LOAN_CHARGE,
    "LoanWaiveChargeUndo": _LOAN_CHARGE,
    "LoanDeleteCharge": _LOAN_PACKAGE + "LoanChargeDeletedV1",
    "LoanProductCreate": _LOAN_PACKAGE + "LoanProductDataV1",
    "LoanRepaymentDue": _LOAN_PACKAGE + "LoanRepaymentDueDataV1",
    "LoanRepaymentOverdue": _LOAN_PACKAGE + "LoanRepaymentDueDataV1",
    "LoanAdjustTransaction": _LOAN_PACKAGE + "LoanTransactionAdjustmentDataV1",
    "LoanAccountsStayedLocked": _LOAN_PACKAGE + "LoanAccountsStayedLockedDataV1",
    "SavingsAccountForceWithdrawal": _SAVINGS_TRANSACTION,
    "SavingsDeposit": _SAVINGS_TRANSACTION,
    "SavingsWithdrawal": _SAVINGS_TRANSACTION,
    "SavingsAccountsStayedLocked": _SAVINGS_PACKAGE + "SavingsAccountsStayedLockedDataV1",
    "ShareAccountApprove": _SHARE,
    "ShareAccountCreate": _SHARE,
    "ShareProductDividentsCreate": "org.apache.fineract.avro.share.v1.ShareProductDataV1",
    "LoanChargeRefund": _LOAN_TRANSACTION,
    "LoanUndoChargeOff": _LOAN_TRANSACTION,
    "LoanUndoContractTermination": _LOAN_TRANSACTION,
    "LoanUndoWrittenOff": _LOAN_TRANSACTION,
    "LoanWaiveInterest": _LOAN_TRANSACTION,
}
_BY_BEGINNING = (
    ("Client", "org.apache.fineract.avro.client.v1.ClientDataV1"),
    ("Savings", _SAVINGS_PACKAGE + "SavingsAccountDataV1"),
    (
        "WorkingCapitalLoan",
        "org.apache.fineract.avro.workingcapitalloan.v1.WorkingCapitalLoanTransactionDataV1",
    ),
)
_TRANSACTION_ENDS = ("Post", "Transaction", "TransactionCreated")


def schema_of(type_: str) -> str:
    """Return the full name of the schema of a type's payload."""
    name = type_.removesuffix(_END)
    if name in _EXACT:
        return _EXACT[name]
    for beginning, schema in _BY_BEGINNING:
        if name.startswith(beginning):
            return schema
    return _LOAN_TRANSACTION if name.endswith(_TRANSACTION_ENDS) else _LOAN


def _money(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.00000001"))


_KES = {
    "code": "KES", "name": "Kenyan Shilling", "decimalPlaces": 2, "inMultiplesOf": 0, "displaySymbol": "KSh",
    "nameCode": "currency.KES", "displayLabel": "Kenyan Shilling (KSh)",
}  # fmt: skip


def _loan(code: str, value: str, status_id: int, *, active: bool) -> dict[str, Any]:
    disbursed = _money("150000") if active else _money("0")
    return {
        "id": 42,
        "accountNo": "000000042",
        "externalId": "LN-2026-00042",
        "status": {
            "id": status_id, "code": f"loanStatusType.{code}", "value": value,
            "pendingApproval": False, "waitingForDisbursal": not active, "active": active, "closed": False,
        },
        "clientId": 7,
        "clientAccountNo": "000000007",
        "clientName": "Jane Wanjiru",
        "clientOfficeId": 2,
        "loanProductId": 3,
        "loanProductName": "Biashara",
        "loanOfficerId": 11,
        "loanOfficerName": "Otieno, Peter",
        "principal": _money("150000"),
        "approvedPrincipal": _money("150000"),
        "proposedPrincipal": _money("160000"),
        "netDisbursalAmount": _money("147500"),
        "termFrequency": 12,
        "numberOfRepayments": 12,
        "repaymentEvery": 1,
        "annualInterestRate": _money("18.5"),
        "timeline": {
            "submittedOnDate": "2026-06-22", "approvedOnDate": "2026-06-29", "approvedByUsername": "mwangi",
            "expectedDisbursementDate": "2026-07-01",
            "actualDisbursementDate": "2026-07-01" if active else None,
            "expectedMaturityDate": "2027-07-01",
        },
        "summary": {
            "currency": dict(_KES), "principalDisbursed": disbursed, "principalOutstanding": disbursed,
            "totalOutstanding": _money("165437.5") if active else _money("0"), "totalOverdue": _money("0"),
        },
        "charges": [],
        "externalOwnerId": None,
        "inArrears": False,
        "chargedOff": False,
    }  # fmt: skip


def _loan_transaction(code: str, value: str, type_id: int, amount: str, left: str, on: str) -> dict[str, Any]:
    return {
        "id": 9310,
        "loanId": 42,
        "externalLoanId": "LN-2026-00042",
        "officeId": 2,
        "officeName": "Nakuru",
        "type": {"id": type_id, "code": f"loanTransactionType.{code}", "value": value},
        "date": on,
        "currency": dict(_KES),
        "paymentDetailData": {
            "id": 501, "paymentType": {"id": 1, "name": "M-PESA"}, "accountNumber": "254700000000",
            "receiptNumber": "SFT1A2B3C4",
        },
        "amount": _money(amount),
        "principalPortion": _money(amount) - _money("2312.5"),
        "interestPortion": _money("2312.5"),
        "feeChargesPortion": _money("0"),
        "penaltyChargesPortion": _money("0"),
        "outstandingLoanBalance": _money(left),
        "submittedOnDate": on,
        "externalId": None,
        "manuallyReversed": False,
        "reversed": False,
    }  # fmt: skip


PAYLOADS: dict[str, Any] = {
    "LoanCreatedBusinessEvent": _loan(
        "submitted.and.pending.approval", "Submitted and pending approval", 100, active=False
    ),
    "LoanApprovedBusinessEvent": _loan("approved", "Approved", 200, active=False),
    "LoanDisbursalBusinessEvent": _loan("active", "Active", 300, active=True),
    "LoanTransactionMakeRepaymentPostBusinessEvent": _loan_transaction(
        "repayment", "Repayment", 2, "13786.46", "138526.04", "2026-08-01"
    ),
    "LoanWrittenOffPostBusinessEvent": _loan_transaction(
        "writeOff", "Close (as written-off)", 6, "98211.30", "0", "2027-06-29"
    ),
    "SavingsDepositBusinessEvent": {
        "id": 55,
        "transactionType": {
            "id": 1, "code": "savingsAccountTransactionType.deposit", "value": "Deposit", "deposit": True,
        },
        "accountId": 9001,
        "accountNo": "000009001",
        "date": "2026-06-29",
        "currency": dict(_KES),
        "amount": _money("2500.75"),
        "runningBalance": _money("18240.1"),
        "reversed": False,
        "submittedOnDate": "2026-06-29",
        "submittedByUsername": "teller4",
        "note": None,
    },
    "ClientActivateBusinessEvent": {
        "id": 7,
        "accountNo": "000000007",
        "externalId": None,
        "status": {"id": 300, "code": "clientStatusType.active", "value": "Active"},
        "active": True,
        "activationDate": "2026-06-29",
        "firstname": "Jane",
        "lastname": "Wanjiru",
        "displayName": "Jane Wanjiru",
        "mobileNo": "+254700000000",
        "emailAddress": "jane.wanjiru@example.com",
        "dateOfBirth": "1991-04-12",
        "officeId": 2,
        "officeName": "Nakuru",
        "timeline": {"submittedOnDate": "2026-06-28", "activatedOnDate": "2026-06-29"},
    },
}  # fmt: skip

ENTITIES = {
    "SavingsDepositBusinessEvent": "9001",
    "ClientActivateBusinessEvent": "7",
    **dict.fromkeys((type_ for type_ in PAYLOADS if type_.startswith("Loan")), "42"),
}

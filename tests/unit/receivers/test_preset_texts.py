"""How values are formatted, and how text is fitted into limits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridge.receivers import humanize, markup
from bridge.receivers.fit import fit, one_line, units
from bridge.receivers.notice import Tone
from bridge.receivers.wordings import WORDINGS, build_notice
from tests.support.preset_events import event_of


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("150000.00000000"), "KES 150,000.00"),
        (Decimal("0E-8"), "KES 0.00"),
        (Decimal("-0.01000000"), "KES -0.01"),
        (Decimal("1234.56780000"), "KES 1,234.5678"),
        ("99999999999999999999.99", "KES 99,999,999,999,999,999,999.99"),
        (1250, "KES 1,250.00"),
        (12.5, "KES 12.50"),
        ("twelve", "twelve"),
        (True, "yes"),
        (None, ""),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_money_is_exact_and_grouped(value, shown):
    assert humanize.format_money(value, "KES") == shown


def test_money_has_the_places_of_its_currency():
    assert humanize.format_money(Decimal("1500.00000000"), "UGX", 0) == "UGX 1,500"
    assert humanize.format_money(Decimal("1.50000000"), "KWD", 3) == "KWD 1.500"
    assert humanize.format_money(Decimal("5"), "") == "5.00"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-06-29", "2026-06-29"),
        ([2026, 6, 9], "2026-06-09"),
        ("2026-06-29T08:15:30Z", "2026-06-29"),
        ("tomorrow", "tomorrow"),
        ([2026, 6], "2026, 6"),
        (None, ""),
    ],
)
def test_dates_have_one_format(value, shown):
    assert humanize.format_date(value) == shown


@pytest.mark.parametrize(
    ("type", "spoken"),
    [
        ("LoanBalanceChangedBusinessEvent", "Loan balance changed"),
        ("LoanTransactionGoodwillCreditPostBusinessEvent", "Loan transaction goodwill credit"),
        ("order.placed", "Order placed"),
        ("com.example.stock.reserved", "Stock reserved"),
        ("ORDER_PLACED", "ORDER PLACED"),
        ("IBANChanged", "IBAN changed"),
        ("v2/order-line.added", "V 2 order line added"),
        ("заказ", "Заказ"),
        ("***", "***"),
        ("", "Event"),
    ],
)
def test_an_event_type_becomes_a_title_in_words(type, spoken):
    assert humanize.event_title(type) == spoken


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"id": 300, "code": "loanStatusType.active", "value": "Active"}, "Active"),
        ({"a": 1, "b": 2}, "2 fields"),
        ([1, 2, 3, 4, 5, 6, 7], "1, 2, 3, 4, 5 and 2 more"),
        ([{"a": 1}], "1 entry"),
        ("two\nlines\t and\x00 more ", "two lines and more"),
        (b"abc", "3 bytes"),
        (False, "no"),
        (Decimal("18.50000000"), "18.5"),
        (Decimal("100.00000000"), "100"),
    ],
)
def test_any_value_is_formatted_as_one_line(value, shown):
    assert humanize.format_value(value) == shown


def test_a_text_that_fits_is_unchanged():
    assert fit("abc", 3) == "abc"
    assert fit("a&b", 7, markup.slack) == "a&amp;b"


def test_a_text_that_is_too_long_ends_with_an_ellipsis():
    assert fit("abcd", 3) == "ab…"
    assert fit("x" * 100_000, 400).endswith("…")
    assert units(fit("x" * 100_000, 400)) == 400


def test_a_text_is_never_truncated_inside_an_escape():
    for limit in range(2, 40):
        cut = fit("&" * 30, limit, markup.slack)
        assert units(cut) <= limit
        assert cut.replace("&amp;", "").strip("…") == ""


def test_a_text_is_never_truncated_inside_a_character():
    """Astral characters count as two units; combining marks and joined emoji stay together."""
    assert fit("😀😀😀", 4) == "😀…"
    assert fit("ab" + "e\u0301" * 5, 4) == "ab…"
    family = "👩\u200d👩\u200d👧"
    assert fit("a" + family + "bcdef", 7) == "a…"
    assert fit("e" + "\u0301" * 500, 100).endswith("…")


def test_half_a_surrogate_pair_and_controls_are_replaced():
    assert one_line("a\ud83db\x07c\x1b[0m") == "a\ufffdb c [0m"
    fit("\ud83d" * 10, 4).encode()


@pytest.mark.parametrize(
    ("escape", "text", "shown"),
    [
        (markup.slack, "<!channel> A&B", "&lt;!channel&gt; A&amp;B"),
        (markup.discord, "@everyone <@1> **b** [x](y)", r"\@everyone \<\@1\> \*\*b\*\* \[x\](y)"),
        (markup.discord, "# title", r"\# title"),
        (markup.discord, "1. first", r"1\. first"),
        (markup.discord, "2026-06-29 KES -0.01", "2026-06-29 KES -0.01"),
        (markup.teams, "<b>*x*</b>", r"&lt;b&gt;\*x\*&lt;/b&gt;"),
        (markup.adaptive, "[a](b) {{DATE(x)}}", r"\[a\](b) \{\{DATE(x)\}\}"),
        (markup.adaptive, "- item", r"\- item"),
    ],
)
def test_inserted_text_cannot_become_markup(escape, text, shown):
    assert escape(text) == shown


LOAN = {
    "id": 42, "accountNo": "000000042", "clientName": "Jane Wanjiru", "clientId": 7,
    "loanProductName": "Biashara", "principal": Decimal("150000.00000000"),
    "approvedPrincipal": Decimal("120000.00000000"), "netDisbursalAmount": Decimal("0E-8"),
    "timeline": {"approvedOnDate": "2026-06-28"},
    "summary": {"currency": {"code": "KES", "decimalPlaces": 2}},
}  # fmt: skip


def test_a_loan_notice_contains_amount_client_and_loan():
    told = build_notice(event_of("LoanApprovedBusinessEvent", LOAN))
    assert told.summary == "Loan approved: KES 120,000.00, Jane Wanjiru, loan 000000042"
    assert told.tone is Tone.GOOD
    assert ("Approved on", "2026-06-28", "") in told.fields
    assert told.footer == "LoanApprovedBusinessEvent · default · 42 · 2026-06-29 08:15 UTC"


def test_a_net_disbursal_of_zero_is_not_shown():
    """Fineract writes a net disbursal of zero if nothing is deducted."""
    told = build_notice(event_of("LoanDisbursalBusinessEvent", LOAN))
    assert told.summary.startswith("Loan disbursed: KES 120,000.00")


def test_the_business_date_replaces_a_missing_date():
    told = build_notice(event_of("LoanApprovedBusinessEvent", {**LOAN, "timeline": None}))
    assert ("Approved on", "2026-06-29", "") in told.fields


def test_a_deposit_notice_contains_the_balance():
    data = {"accountNo": "000009001", "amount": Decimal("2500.75"), "runningBalance": Decimal("-0.01"),
            "currency": {"code": "KES"}, "date": "2026-06-29", "note": "Naïve café ☕"}  # fmt: skip
    told = build_notice(event_of("SavingsDepositBusinessEvent", data))
    assert told.summary == "Savings deposit: KES 2,500.75, account 000009001"
    assert ("Balance", "KES -0.01", "") in told.fields


@pytest.mark.parametrize(
    ("type", "data", "summary"),
    [
        ("LoanReAgeBusinessEvent", LOAN, "Loan re age: KES 150,000.00, Jane Wanjiru, loan 000000042"),
        ("LoanProductCreateBusinessEvent", {"id": 3, "name": "Biashara"}, "Loan product create: Biashara"),
        (
            "ShareAccountApproveBusinessEvent",
            {"accountNo": "000000009", "clientName": "Jane"},
            "Share account approve: Jane, account 000000009",
        ),
        ("BulkBusinessEvent", {"datas": [{}, {}]}, "Bulk: 42"),
        ("LoanReAge", LOAN, "Loan re age: 42"),
    ],
)
def test_other_fineract_types_use_the_wording_of_their_family(type, data, summary):
    assert build_notice(event_of(type, data)).summary == summary


def test_an_unknown_type_gets_a_generic_notice():
    data = {f"field{number}": number for number in range(20)}
    told = build_notice(event_of("order.placed", data, entity="A-17", tenant=None))
    assert told.title == "Order placed"
    assert told.fields[0] == ("Entity", "A-17", "A-17")
    assert told.fields[-1] == ("Not shown", "12 more fields", "")
    assert len(told.fields) == 10


@pytest.mark.parametrize("type", [*WORDINGS, "order.placed", ""])
@pytest.mark.parametrize(
    "data", [None, "text", 7, [], {}, [1, {"a": 2}], {"amount": {"x": 1}, "currency": 3}]
)
def test_any_payload_gets_a_notice(type, data):
    told = build_notice(event_of(type, data, entity=None, tenant=None, business_date=""))
    assert told.title
    assert all(field.label and field.value for field in told.fields)

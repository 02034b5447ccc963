"""`hookferry demo` as a newcomer runs it, and the signature check of its sample receiver."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from standardwebhooks import Webhook as ReferenceWebhook

from bridge.demo.broker import Parked
from bridge.demo.receiver import Webhook, verify
from bridge.demo.samples import Fate, samples
from bridge.demo.services import WANTED, Message, Services
from bridge.demo.show import how_to_go_on
from bridge.demo.tally import Outcome, Tally

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
LIMIT_S = 30
PROMISES = ["delivered", "order", "signatures", "duplicates", "retried", "parked", "messages", "cursors"]


class Run(NamedTuple):
    code: int
    out: str
    err: str
    duration_s: float
    left_behind: list[str]


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    """Return a shell's environment, with temporary files in ``folder``, to detect files that remain."""
    inherited = {name: text for name, text in os.environ.items() if name not in ("FORCE_COLOR", "COLUMNS")}
    return inherited | {"TMPDIR": str(folder), "HOOKFERRY_GROUP": "must-not-leak-in"} | more


@contextmanager
def started(folder: Path, *options: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "demo", *options],
        cwd=ROOT, env=environment(folder, **more), text=True, encoding="utf-8",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run one demo in a pipe, from start to end."""
    folder, began = tmp_path_factory.mktemp("demo"), time.monotonic()
    with started(folder) as process:
        out, err = process.communicate(timeout=90)
        took = time.monotonic() - began
    return Run(process.returncode, out, err, took, os.listdir(folder))


def lines_with(text: str, out: str) -> list[str]:
    return [line for line in out.splitlines() if text in line]


def test_the_demo_ends_on_its_own_in_time_and_keeps_every_promise(run):
    assert run.code == 0, run.out + run.err
    assert run.err == ""
    assert run.duration_s < LIMIT_S
    assert "All as promised" in run.out
    kept = re.findall(r"│ ✓ (\w+)", run.out)
    assert kept == PROMISES
    assert "✗" not in run.out


def test_the_output_is_plain_text_in_a_pipe(run):
    assert "\x1b" not in run.out


def test_the_demo_removes_its_files(run):
    assert run.left_behind == []


def test_every_webhook_has_a_line_in_the_order_of_its_entity(run):
    rows = re.findall(
        r"^ ?\d+ +[\d.]+ s \S+ +(\S+) +(\S+) +(\d) of (\d) ✓ valid ✓ +(\d) (\d+)", run.out, re.M
    )
    assert len(rows) == 20
    for entity, wanted in (("1001", "123"), ("1002", "111123"), ("A-18", "123"), ("sku-7", "12")):
        assert "".join(place for _, name, place, *_ in rows if name == entity) == wanted
    held_up = [(attempt, status) for _, name, _, _, attempt, status in rows if name == "1002"]
    assert held_up == [("1", "500"), ("2", "500"), ("3", "500"), ("4", "200"), ("1", "200"), ("1", "200")]


def test_slack_and_zapier_show_readable_messages(run):
    shown = lines_with("slack shows", run.out)
    assert len(shown) == 3
    for loan in ("000001001", "000001002"):
        wanted = f"✅ Loan approved | Approved: KES 150,000.00 | Client: Petra Yton | Loan: {loan}"
        assert lines_with(wanted, run.out)
    assert lines_with("✅ Savings deposit | Amount: KES 250.00 | Account: 000002001", run.out)
    assert lines_with("zapier shows Savings withdrawal: KES 40.50, account 000002001", run.out)
    assert lines_with("slack showed 3 of 3, zapier showed 3 of 3", run.out)


def test_the_summary_lists_skipped_and_parked_records_with_their_cause(run):
    assert lines_with("1 skipped: LoanApprovedBusinessEvent of 1001", run.out)
    assert lines_with("the value has no id at 'id'", run.out)
    assert lines_with("correct sources.orders.id", run.out)
    assert lines_with("for shop: status 400: this shop cannot cancel orders", run.out)
    assert lines_with("crm has 19 of 19, shop has 19 of 19", run.out)


def test_the_output_works_without_unicode(tmp_path):
    with started(tmp_path, PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    assert out.isascii()
    assert out.count("ok delivered") == 1


def test_keep_runs_until_ctrl_c_and_delivers_events_published_by_hand(tmp_path):
    with started(tmp_path, "--keep") as process:
        seen = read_until(process, "Ctrl-C ends it.")
        admin = re.search(r"curl (http://\S+)/metrics", seen)
        address = re.search(r"bridge\.demo\.publish (\S+) ", seen)
        assert admin
        assert address
        by_hand = [sys.executable, "-m", "bridge.demo.publish", address[1], "A-20", "order.placed"]
        subprocess.run(by_hand, cwd=ROOT, check=True, capture_output=True, timeout=30)
        assert "A-20" in read_until(process, "by hand")
        with urllib.request.urlopen(admin[1] + "/metrics", timeout=5) as answer:
            assert b"hookferry_attempts_total" in answer.read()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(admin[1] + "/healthz", timeout=5)


@pytest.mark.parametrize("sign", ["state_dir", "order.paid"])
def test_ctrl_c_before_the_end_removes_all_files(tmp_path, sign):
    """Once while the bridge starts, and once while webhooks arrive."""
    with started(tmp_path) as process:
        admin = re.search(r"port: (\d+)", read_until(process, sign))
        assert admin
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{admin[1]}/healthz", timeout=5)


def test_the_next_steps_use_the_command_that_the_user_typed(run):
    made = how_to_go_on(keeps=False, made=True, documented=True)
    typed = how_to_go_on(keeps=False, made=False, documented=False)
    kept = how_to_go_on(keeps=True, made=True, documented=False)
    assert [line[6:37].strip() for line in (*made, *typed, *kept)] == [
        *("make demo KEEP=1", ".venv/bin/hookferry check FILE", "docs/tutorial/quick-start.md"),
        *("hookferry demo --keep", "hookferry check FILE"),
        ".venv/bin/hookferry check FILE",
    ]
    assert lines_with(made[0] if "MAKELEVEL" in os.environ else typed[0], run.out)


def test_a_full_disk_gives_a_message_and_all_files_are_removed(tmp_path):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "bridge", "demo"],
            cwd=ROOT, env=environment(tmp_path), text=True, check=False, timeout=60,
            stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith("hookferry: cannot write: No space left on device")
    assert os.listdir(tmp_path) == []


def read_until(process: subprocess.Popen[str], sign: str) -> str:
    seen = ""
    assert process.stdout is not None
    for line in process.stdout:
        seen += line
        if sign in line:
            return seen
    raise AssertionError(f"the demo ended without {sign!r}:\n{seen}")


# --- the tally: a broken promise is reported ---


def play(drop=(), twice=(), swap=False, signed=True) -> Tally:
    """Return the tally of all samples, delivered by a bridge with these faults."""
    planned = samples()
    tally = Tally(planned)
    wanted = [sample for sample in planned if sample.makes_a_webhook and sample.name not in drop]
    if swap:
        first, second = (index for index, sample in enumerate(wanted) if sample.name in SWAPPED)
        wanted[first], wanted[second] = wanted[second], wanted[first]
    for number, sample in enumerate(wanted):
        tally.published(sample, number)
        for attempt in range(1, len(sample.answers) + 2 if sample.fate is Fate.DELIVERED else 2):
            arrive(tally, sample, attempt, signed)
        if sample.name in twice:
            arrive(tally, sample, 2, signed)
    return tally


def arrive(tally, sample, attempt, signed):
    tally.arrived(Webhook(sample.endpoint, "id", sample.type, sample.entity, signed, attempt, 100.0))


PAID = ("A-17", "order.paid")
SWAPPED = (PAID, ("A-17", "order.shipped"))
PARKED = [Parked("a-0@0", None, "", ""), Parked("b-0@0", "shop", "", "")]
AT_END = {"crm": {("a", 0): 5}, "shop": {("a", 0): 5}}


def broken(tally: Tally, *, duplicates=1, parked=PARKED, cursors=AT_END, log_ends=None) -> list[str]:
    outcome = Outcome(duplicates, parked, log_ends or {("a", 0): 5}, cursors)
    return [check.subject for check in tally.checks(outcome) if not check.kept]


def test_a_bridge_without_faults_keeps_every_promise():
    assert broken(play()) == []


def test_every_broken_promise_is_named():
    assert broken(play(drop=[PAID])) == ["delivered", "order"]
    assert broken(play(twice=[PAID])) == ["delivered", "order"]
    assert broken(play(swap=True)) == ["order"]
    assert broken(play(signed=False)) == ["signatures"]
    assert broken(play(), duplicates=0) == ["duplicates"]
    assert broken(play(), parked=PARKED[:1]) == ["parked"]
    assert broken(play(), cursors={**AT_END, "shop": {("a", 0): 4}}) == ["cursors"]
    assert broken(play(), cursors={**AT_END, "shop": {}}) == ["cursors"]


def test_what_an_operator_sends_again_after_the_summary_breaks_no_promise():
    tally, webhook = Tally(samples()), Webhook("shop", "id", "order.placed", "A-17", True, 1, 0.0)
    assert [tally.arrived(webhook).again, tally.arrived(webhook).again] == [False, False]
    tally.checks(Outcome(1, PARKED, {}, {}))
    assert tally.arrived(webhook).again


def shown_by(*, drop=(), twice=(), refuse=()) -> list[str]:
    """Return the errors that the check of the messages finds; each fault names a service and an index."""
    services = Services(lambda _: None)
    for service, wanted in WANTED.items():
        for index, fragments in enumerate(wanted):
            if (service, index) not in drop:
                refused = "400 invalid_blocks" if (service, index) in refuse else ""
                services.messages += [Message(service, fragments, refused)] * (
                    1 + ((service, index) in twice)
                )
    check = services.check()
    return [] if check.kept else [check.text.partition("wrong: ")[2]]


def test_every_message_must_be_shown_exactly_once_and_complete():
    assert shown_by() == []
    assert shown_by(drop=[("slack", 2)]) == ["✅ Savings deposit"]
    assert shown_by(refuse=[("slack", 2)]) == ["✅ Savings deposit"]
    assert "1 more than expected in zapier" in shown_by(twice=[("zapier", 0)])[0]


# --- the sample receiver ---


def headers(body: bytes, at: datetime, **changes: str) -> dict[str, str]:
    signature = ReferenceWebhook(SECRET).sign("evt_1", at, body.decode())
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    } | {name.replace("_", "-"): text for name, text in changes.items()}


NOW = datetime(2026, 6, 29, 12, tzinfo=UTC)
BODY = b'{"type":"x"}'


def test_the_sample_receiver_accepts_what_the_reference_library_signs():
    good = headers(BODY, NOW)
    assert verify(SECRET, good, BODY, NOW.timestamp())
    assert verify(SECRET, good, BODY, NOW.timestamp() + 300)
    rotating = f"v1,{base64.b64encode(b'x' * 32).decode()} {good['webhook-signature']}"
    assert verify(SECRET, {**good, "webhook-signature": rotating}, BODY, NOW.timestamp())


@pytest.mark.parametrize(
    ("changes", "body", "later_s"),
    [
        ({}, b'{"type":"y"}', 0),
        ({}, BODY, 301),
        ({}, BODY, -301),
        ({"webhook_id": "evt_2"}, BODY, 0),
        ({"webhook_id": ""}, BODY, 0),
        ({"webhook_timestamp": ""}, BODY, 0),
        ({"webhook_timestamp": "soon"}, BODY, 0),
        ({"webhook_timestamp": "²"}, BODY, 0),
        ({"webhook_signature": ""}, BODY, 0),
        ({"webhook_signature": "v1,ü v1 v1, v2,abc"}, BODY, 0),
    ],
)
def test_the_sample_receiver_refuses_changed_old_or_unsigned_requests(changes, body, later_s):
    assert not verify(SECRET, headers(BODY, NOW, **changes), body, NOW.timestamp() + later_s)


def test_the_sample_receiver_refuses_a_signature_of_another_secret():
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    assert not verify(other, headers(BODY, NOW), BODY, NOW.timestamp())

"""The quick start as its page describes it: its files, the console of the demo, and a first delivery."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import yaml

from tests.support.ports import free_port
from tests.support.watch import wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "quick-start.md").read_text("utf-8")


def block(language: str, contains: str) -> str:
    """Return the code block of the page that contains a text."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.S) if contains in text]
    return found


@contextmanager
def running(command: list[str], folder: Path, out: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **more}
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            process.kill()


class Visitor:
    """A browser without a script: it keeps cookies and sends forms."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> str:
        try:
            with self._opener.open(self._origin + path, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def send(self, path: str, page: str, **fields: str) -> str:
        token = re.search(r'name="form_token" value="(\w+)"', page)
        assert token
        data = urllib.parse.urlencode({"form_token": token[1], **fields}).encode()
        try:
            with self._opener.open(self._origin + path, data, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as answer:  # the page of a job that the console has not read yet
            return answer.read().decode()


def test_the_reader_re_sends_the_parked_order_and_delivers_an_event_to_a_receiver_of_its_own(tmp_path):
    with ExitStack() as stack:
        demo = tmp_path / "demo.log"
        stack.enter_context(running(["-m", "bridge", "demo", "--keep"], tmp_path, demo))
        wait_until(lambda: "Ctrl-C ends it." in demo.read_text(), "the demo keeps running", 90)
        visitor = visitor_of(demo)
        re_send_the_parked_order(demo, visitor)
        replay_what_the_shop_got(demo, visitor)
        broker = re.search(r"Broker +(127\.0\.0\.1:\d+)", demo.read_text())
        assert broker
        secret = re.search(r'MY_SECRET="(\S+)"', PAGE)
        assert secret
        deliver_an_event(stack, tmp_path, broker[1], {"MY_SECRET": secret[1]})


def visitor_of(demo: Path) -> Visitor:
    address = re.search(r"console +(http://\S+)/parked", demo.read_text())
    assert address
    return Visitor(address[1])


def replay_what_the_shop_got(demo: Path, visitor: Visitor) -> None:
    page = visitor.get("/replay?endpoint=shop&from=2h")
    assert "2. Send 8 events" in page, "the embedded broker has no offsets by time, so the log is read"
    since = re.search(r'type="hidden" name="from" value="([^"]+)"', page)
    assert since
    lines = len(demo.read_text().splitlines())
    done = visitor.send("/replay", page, endpoint="shop", why="quick start", **{"from": since[1]})
    assert "to shop has begun" in done

    def arrived() -> int:
        return sum(" again " in line for line in demo.read_text().splitlines()[lines:])

    wait_until(lambda: arrived() == 8, "each event of the shop arrives again", 90)
    wait_until(lambda: "done" in visitor.get("/jobs"), "the job is done", 60)


def re_send_the_parked_order(demo: Path, visitor: Visitor) -> None:
    listed = wait_until(
        lambda: found if "order.cancelled" in (found := visitor.get("/parked?entity=A-18")) else "",
        "the order is listed",
        60,
    )
    assert "status 400: this shop cannot cancel orders" in listed
    one = re.search(r"/parked/one\?address=(\d+)%3A(\d+)", listed)
    assert one
    page = visitor.get(one[0])
    assert "What to do: fix the cause at the receiver, then send it again." in page
    lines = len(demo.read_text().splitlines())
    visitor.send("/parked/act", page, address=f"{one[1]}:{one[2]}", action="redrive", why="quick start")
    wait_until(
        lambda: any("A-18" in line for line in demo.read_text().splitlines()[lines:]),
        "it arrives in the demo",
        60,
    )
    wait_until(
        lambda: "redriven" in visitor.get("/parked?entity=A-18&state=all"), "its state is redriven", 60
    )


def deliver_an_event(stack: ExitStack, folder: Path, broker: str, secret: dict[str, str]) -> None:
    receiver, console = free_port(), free_port()
    (folder / "receiver.py").write_text(
        block("python", "BaseHTTPRequestHandler").replace("9000", str(receiver))
    )
    config = yaml.safe_load(
        block("yaml", "group: mine").replace("127.0.0.1:9092", broker).replace("9000", str(receiver))
    )
    config["admin"], config["console"]["port"] = {"port": free_port(), "host": "127.0.0.1"}, console
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    received, log = folder / "received.log", folder / "mine.log"
    stack.enter_context(running(["receiver.py"], folder, received, **secret))
    check = [sys.executable, "-m", "bridge", "check", "mine.yaml"]
    environment = {"PYTHONPATH": str(ROOT), **secret}
    assert subprocess.run(check, cwd=folder, env=environment, check=False, timeout=60).returncode == 0
    stack.enter_context(
        running(["-m", "bridge", "run", "--console", "-c", "mine.yaml"], folder, log, **secret)
    )
    publish = block("sh", "bridge.demo.publish").replace("127.0.0.1:9092", broker).split()
    subprocess.run([sys.executable, *publish[1:]], cwd=ROOT, env=environment, check=True, timeout=30)
    wait_until(lambda: 'genuine: {"type":"order.placed"' in received.read_text(), "the event arrives", 90)
    visitor = Visitor(f"http://127.0.0.1:{console}")
    wait_until(
        lambda: "delivered" in visitor.get("/search?entity=A-1&verdict=delivered"), "the console has it", 60
    )

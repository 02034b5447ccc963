"""Execute each kind of fault. Each function returns after the fault is undone, or when the run is aborted."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.log_acts import add_partition, expire_offsets, write_poison, write_transaction
from tests.faults.plan import Fault
from tests.faults.stage import Pod, Stage
from tests.support.bridge_process import ROOT
from tests.support.kafka import KafkaFailed

REDRIVEN_AT_ONCE = 40
MODES: dict[str, dict[str, Any]] = {
    "path.hang": {"modes": [{"kind": "hang", "share": 0.5}]},
    "path.reset": {"modes": [{"kind": "reset", "share": 0.7}]},
    "path.half": {"modes": [{"kind": "half", "share": 0.7}]},
    "path.cut": {"modes": [{"kind": "cut", "share": 0.7}]},
    "path.status_429": {"modes": [{"kind": "status", "status": 429, "retry_after_s": 1, "share": 0.9}]},
    "path.status_500": {"modes": [{"kind": "status", "status": 500, "share": 0.9}]},
    "path.status_503": {"modes": [{"kind": "status", "status": 503}]},
}


def carry_out(stage: Stage, fault: Fault) -> None:
    """Execute one fault from its start to its end."""
    stage.ledger.note(f"fault {fault.kind} on {fault.target} for {fault.for_s:.1f} s {fault.extra}".rstrip())
    if fault.kind == "pod.disk_full":
        _disk_full(stage, fault)
    elif fault.kind.startswith("pod."):
        pod = stage.pods[int(fault.target.split()[1])]
        with pod.lock:
            _POD_ACTS[fault.kind](stage, pod, fault)
    elif fault.kind == "broker.kill":
        _broker(stage, fault)
    elif fault.kind == "receiver.kill":
        _receiver(stage, fault)
    elif fault.kind == "endpoint.off":
        _off(stage, fault)
    elif fault.kind == "parked.redrive":
        _redrive(stage)
    elif fault.kind.startswith(("topic.", "offsets.")):
        _LOG_ACTS[fault.kind](stage, fault)
    else:
        _path(stage, fault)


def _kill(stage: Stage, pod: Pod, fault: Fault) -> None:
    pod.kill()
    _start_later(stage, pod, fault)


def _stop(stage: Stage, pod: Pod, fault: Fault) -> None:
    pod.stand_still(fault.for_s, stage.cut)


def _terminate(stage: Stage, pod: Pod, fault: Fault) -> None:
    pod.terminate()
    _start_later(stage, pod, fault)


def _extra(stage: Stage, pod: Pod, fault: Fault) -> None:
    pod.start()
    stage.cut.wait(fault.for_s)
    pod.terminate()


def _disk_wiped(stage: Stage, pod: Pod, fault: Fault) -> None:
    _end(pod, fault)
    _touch(stage, pod, "removed", [_remove(file) for file in sorted(pod.state.iterdir())])
    _start_later(stage, pod, fault)


def _disk_damaged(stage: Stage, pod: Pod, fault: Fault) -> None:
    _end(pod, fault)
    chance = random.Random(f"{fault.at_s} {fault.target}")
    files = [file for file in sorted(pod.state.iterdir()) if file.is_file() and file.name != "filler"]
    _touch(stage, pod, "damaged", [_damage(file, chance) for file in files if chance.random() < 0.7])
    _start_later(stage, pod, fault)


def _disk_full(stage: Stage, fault: Fault) -> None:
    assert stage.disk is not None
    stage.disk.fill()
    stage.cut.wait(fault.for_s)
    stage.disk.free()
    stage.ledger.note(f"the disk of {fault.target} has room again")


def _start_later(stage: Stage, pod: Pod, fault: Fault) -> None:
    if not stage.cut.wait(fault.for_s):
        pod.start()


def _end(pod: Pod, fault: Fault) -> None:
    if fault.extra == "kill":
        pod.kill()
    else:
        pod.terminate()


def _touch(stage: Stage, pod: Pod, how: str, names: list[str]) -> None:
    at_ns = stage.ledger.note(f"pod {pod.number}'s files {how}: {', '.join(names) or 'none'}")
    stage.ledger.disks_touched.append((at_ns, pod.number))


def _remove(file: Path) -> str:
    if file.is_dir():
        shutil.rmtree(file)
    elif file.name != "filler":
        file.unlink()
    return file.name


def _damage(file: Path, chance: random.Random) -> str:
    """Flip bytes, truncate the file, or fill it with random bytes."""
    content = bytearray(file.read_bytes())
    match chance.choice(("flip", "flip", "cut", "nonsense")):
        case "flip":
            places = [0, *(chance.randrange(len(content)) for _ in range(50))] if content else []
            for place in places[chance.randint(0, 1) :]:  # the first byte is SQLite's magic: not always
                content[place] ^= 0xFF
        case "cut":
            del content[len(content) // 2 :]
        case _:
            content = bytearray(chance.randbytes(4096))
    file.write_bytes(content)
    return file.name


def _broker(stage: Stage, fault: Fault) -> None:
    with stage.broker_lock:
        began_ns = stage.ledger.note("broker killed")
        stage.kafka.kill()
        if stage.cut.wait(fault.for_s):
            return
        try:
            stage.kafka.start()
        except KafkaFailed:
            if stage.cut.is_set():
                return
            stage.kafka.kill()  # kill what is left: on a busy machine the start may exceed its timeout
            stage.kafka.start()
        stage.ledger.broker_away.append((began_ns, stage.ledger.note("broker back")))


def _receiver(stage: Stage, fault: Fault) -> None:
    began_ns = stage.ledger.note("receiver killed")
    stage.witness.kill()
    if stage.cut.wait(fault.for_s):
        return
    stage.witness.start()
    stage.ledger.receiver_away.append((began_ns, stage.ledger.note("receiver back")))


def _off(stage: Stage, fault: Fault) -> None:
    """Switch an endpoint off, and on again after a while, as an operator does."""
    name = fault.target.removeprefix("/")
    stage.off.add(name)
    if _command(stage, "endpoints", "off", name, "--reason", "fault"):
        stage.switched_off += 1
    stage.cut.wait(fault.for_s)
    _turn_on(stage, name)


def turn_on_again(stage: Stage) -> None:
    """Switch on every endpoint that a fault switched off."""
    for name in sorted(stage.off):
        _turn_on(stage, name)


def _turn_on(stage: Stage, name: str) -> None:
    while not stage.cut.is_set():
        if _command(stage, "endpoints", "on", name):
            stage.off.discard(name)
            stage.ledger.note(f"{name} turned on again")
            return
        stage.cut.wait(1)


def _redrive(stage: Stage) -> None:
    """Redrive some letters of the dead endpoint, as an operator does: they are parked again."""
    words = ("--endpoint", "dead", "--since", "5m", "--limit", str(REDRIVEN_AT_ONCE), "--yes")
    if _command(stage, "parked", "redrive", *words):
        stage.ledger.note("some parked events were redriven")


def _command(stage: Stage, *words: str) -> str | None:
    """Run one command as an operator does; return its output, or None during a broker outage."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *words, "--config", str(stage.pods[0].bridge.file)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        stage.ledger.note(
            f"hookferry {' '.join(words[:3])} ended with {done.returncode}: {done.stderr[-300:]}"
        )
        return None
    return done.stdout or " "


def _path(stage: Stage, fault: Fault) -> None:
    if fault.kind == "path.slow":
        delay_ms = random.Random(f"{fault.at_s} {fault.target}").randint(300, 1_200)
        stage.witness.behave(fault.target, {"delay_ms": delay_ms})
    else:
        stage.witness.behave(fault.target, MODES[fault.kind])
    if stage.cut.wait(fault.for_s):
        return
    stage.witness.behave(fault.target)
    stage.ledger.note(f"{fault.target} as usual again")


_POD_ACTS: dict[str, Callable[[Stage, Pod, Fault], None]] = {
    "pod.kill": _kill,
    "pod.stop_short": _stop,
    "pod.stop_long": _stop,
    "pod.terminate": _terminate,
    "pod.away": _terminate,
    "pod.extra": _extra,
    "pod.disk_wiped": _disk_wiped,
    "pod.disk_damaged": _disk_damaged,
}

_LOG_ACTS: dict[str, Callable[[Stage, Fault], None]] = {
    "topic.partitions": lambda stage, _: add_partition(stage),
    "topic.transaction": write_transaction,
    "topic.poison": write_poison,
    "topic.recreate": lambda stage, _: stage.side.recreate(),
    "offsets.expire": expire_offsets,
}

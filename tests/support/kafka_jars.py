"""Fetch Kafka's jars with Maven, once per user, into a cache outside of the repository.

The environment variable ``KAFKA_VERSION`` selects one of the versions that have a pom in ``tests/kafka``.
Several test runs may start at the same time, so the cache is filled under a file lock. Each content of a pom
has its own folder, so that two checkouts never delete each other's jars under a running broker.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

DEFAULT_VERSION = "3.9.1"
KAFKA_VERSION = os.environ.get("KAFKA_VERSION") or DEFAULT_VERSION
_POMS = Path(__file__).parent.parent / "kafka"
RESOLVE_TIMEOUT_S = 600


class KafkaMissing(Exception):
    """Real Kafka cannot run on this machine; the text names what is missing."""


def cache_folder() -> Path:
    """Return the folder for this version and this content of its pom, under ``$XDG_CACHE_HOME/hookferry``.

    Without that variable, it is under ``~/.cache``. Raises ``KafkaMissing`` for a version without a pom.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    content = hashlib.sha256(_pom().read_bytes()).hexdigest()
    return Path(base) / "hookferry" / f"kafka-{KAFKA_VERSION}-{content[:12]}"


def _pom() -> Path:
    pom = _POMS / f"kafka-{KAFKA_VERSION}.xml"
    if not pom.exists():
        known = sorted(path.stem.removeprefix("kafka-") for path in _POMS.glob("kafka-*.xml"))
        raise KafkaMissing(f"KAFKA_VERSION is {KAFKA_VERSION!r}; tests/kafka has {', '.join(known)}")
    return pom


def java() -> str:
    """Return the path of ``java``; raises ``KafkaMissing`` if there is none."""
    path = shutil.which("java")
    if not path:
        raise KafkaMissing("java is not on the PATH (Java 17 or newer is needed)")
    return path


def class_path() -> str:
    """Return a class path with the broker and its tools; fetch the jars if the cache lacks them.

    Raises ``KafkaMissing`` if Maven is missing or cannot resolve the jars.
    """
    java()
    folder = cache_folder()
    libs = folder / "libs"
    complete = folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(libs, ignore_errors=True)
            _resolve(libs)
            complete.touch()
    return f"{libs}/*"


def _resolve(libs: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise KafkaMissing(f"mvn is not on the PATH and {libs} holds no jars (Maven 3 is needed once)")
    command = [
        maven, "-q", "-B", "--strict-checksums", "-f", str(_pom()), "dependency:copy-dependencies",
        f"-DoutputDirectory={libs}", "-DincludeScope=runtime",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RESOLVE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise KafkaMissing(f"Maven did not resolve Kafka's jars in {RESOLVE_TIMEOUT_S} s") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise KafkaMissing(f"Maven could not resolve Kafka's jars: {lines[0]}")

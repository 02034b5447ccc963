"""Fetch Kafka's jars with Maven, once per user, into a cache outside of the repository.

The pom in ``tests/kafka`` names the version. Several test runs may start at the same time, so the cache is
filled under a file lock, and is valid only if its ``complete`` file contains the checksum of the pom.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

KAFKA_VERSION = "3.9.1"
POM = Path(__file__).parent.parent / "kafka" / "pom.xml"
RESOLVE_TIMEOUT_S = 600


class KafkaMissing(Exception):
    """Real Kafka cannot run on this machine; the text names what is missing."""


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/hookferry/kafka-<version>``, or the same under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hookferry" / f"kafka-{KAFKA_VERSION}"


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
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists() or complete.read_text() != wanted:
            complete.unlink(missing_ok=True)
            shutil.rmtree(libs, ignore_errors=True)
            _resolve(libs)
            complete.write_text(wanted)
    return f"{libs}/*"


def _resolve(libs: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise KafkaMissing(f"mvn is not on the PATH and {libs} holds no jars (Maven 3 is needed once)")
    command = [
        maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies",
        f"-DoutputDirectory={libs}", "-DincludeScope=runtime",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RESOLVE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise KafkaMissing(f"Maven did not resolve Kafka's jars in {RESOLVE_TIMEOUT_S} s") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise KafkaMissing(f"Maven could not resolve Kafka's jars: {lines[0]}")

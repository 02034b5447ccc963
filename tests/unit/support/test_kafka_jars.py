"""Which version of Kafka the tests run on, and where its jars are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import kafka_jars

ROOT = Path(__file__).parents[3]
POMS = sorted((ROOT / "tests" / "kafka").glob("kafka-*.xml"))


@pytest.mark.parametrize("pom", POMS, ids=lambda pom: pom.stem)
def test_a_pom_fetches_the_version_that_its_name_has(pom: Path) -> None:
    kafka = re.findall(r"<groupId>org\.apache\.kafka</groupId>\s*<artifactId>(.*?)<", pom.read_text())
    versions = re.findall(r"<artifactId>kafka.*?</artifactId>\s*<version>(.*?)</version>", pom.read_text())
    assert kafka == ["kafka_2.13", "kafka-tools"]
    assert versions[-2:] == [pom.stem.removeprefix("kafka-")] * 2


def test_the_versions_that_run_by_default_and_in_ci_have_a_pom() -> None:
    (of_ci,) = re.findall(r"^KAFKA_4 := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {kafka_jars.DEFAULT_VERSION, of_ci} <= {pom.stem.removeprefix("kafka-") for pom in POMS}


def test_an_unknown_version_is_named_with_those_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_jars, "KAFKA_VERSION", "9.9.9")
    with pytest.raises(kafka_jars.KafkaMissing, match=r"'9\.9\.9'.*3\.9\.1, 4\.4\.0"):
        kafka_jars.cache_folder()


def test_a_changed_pom_gets_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another checkout may use the old jars at this moment."""
    before = kafka_jars.cache_folder()
    changed = tmp_path / f"kafka-{kafka_jars.KAFKA_VERSION}.xml"
    changed.write_text("<project/>")
    monkeypatch.setattr(kafka_jars, "_POMS", tmp_path)
    assert kafka_jars.cache_folder() != before

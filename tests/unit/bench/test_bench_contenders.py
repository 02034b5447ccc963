"""What the published benchmark starts: settings, records and checkouts, without Kafka."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bridge.formats.fineract import FineractDecoder
from bridge.schemas.folder import read_folder
from bridge.settings import check
from tests.bench.compare.cells import FULL, Cell
from tests.bench.compare.contenders import Hookferry, Job
from tests.bench.compare.processes import TICKS_PER_S, cpu_s, peak_mb
from tests.bench.compare.records import SCHEMAS, records
from tests.bench.compare.revision import NoSuchRevision, checkout, commit_of
from tests.bench.interpreter import Interpreter
from tests.support.records import record

CELLS = {cell.name: cell for cell in FULL}
OWN = Interpreter(sys.executable, "3.11", 1.0)


@pytest.mark.parametrize("cell", FULL, ids=lambda cell: cell.name)
def test_the_configuration_of_each_cell_passes_check(cell: Cell, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    urls = [f"http{'s' * cell.tls}://localhost:1/{number}" for number in range(cell.endpoints)]
    job = Job(cell, "127.0.0.1:9092", "topic", "run", urls, authority, tmp_path)
    file = tmp_path / "bridge.yaml"
    file.write_text(yaml.safe_dump(Hookferry(OWN).config(job)))
    assert check(file, {}) == []


@pytest.mark.parametrize("name", ["base", "10-kB", "100-kB"])
def test_the_records_have_the_size_of_the_cell(name: str) -> None:
    sizes = [len(event.value) for event in records(CELLS[name], 20)]
    assert all(abs(size - CELLS[name].value_bytes) < 50 for size in sizes)


@pytest.mark.parametrize("name", ["base", "fineract"])
def test_the_numbers_of_an_entity_count_from_the_first(name: str) -> None:
    seqs: dict[str, list[int]] = {}
    for event in records(CELLS[name], 3_000, first_seq=7):
        seqs.setdefault(event.entity, []).append(event.seq)
    assert len(seqs) > 500
    assert all(found == list(range(7, 7 + len(found))) for found in seqs.values())


def test_a_record_of_fineract_contains_the_fields_that_the_receiver_reads() -> None:
    (event,) = records(CELLS["fineract"], 1)
    decoder = FineractDecoder("bank", read_folder(SCHEMAS), max_value_bytes=10_000)
    (decoded,) = decoder.decode(record(event.value, key=event.key))
    data = decoded.payload()
    assert (data["entity"], data["seq"]) == (event.entity, event.seq)
    assert decoded.entity == event.entity
    assert len(data) == 40


def test_the_cpu_and_the_memory_of_children_count() -> None:
    burn = "sum(range(10**7)); import sys; print('done', flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"done\n"
        own = (Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2]).split()
        assert cpu_s(process.pid) >= (int(own[11]) + int(own[12])) / TICKS_PER_S + 0.05
        assert peak_mb(process.pid) > 10
    finally:
        process.kill()
        process.communicate()


def test_another_revision_is_checked_out_and_removed(tmp_path: Path) -> None:
    with checkout("HEAD", tmp_path) as place:
        assert (place / "bridge" / "__main__.py").is_file()
        assert commit_of("HEAD")[:8] in place.name
    assert not place.exists()


def test_an_unknown_revision_is_refused_with_the_message_of_git(tmp_path: Path) -> None:
    with pytest.raises(NoSuchRevision, match="no-such-revision"), checkout("no-such-revision", tmp_path):
        pytest.fail("there is no such revision")


def test_an_unknown_cell_has_no_figures_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.compare", "--only", "nonsense"],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 1
    assert "no cell nonsense; there are base, 5-ms" in done.stderr
    assert "Traceback" not in done.stderr

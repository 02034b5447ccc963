"""Consumers share the memory for fetched records, by the number of their partitions and of the readers."""

from __future__ import annotations

from types import SimpleNamespace

from bridge.kafka.fetch_budget import FetchBudget

MIB = 1 << 20


class FakeConsumer:
    """What the budget changes of a consumer."""

    def __init__(self) -> None:
        self._fetcher = SimpleNamespace(
            _records={}, _fetch_max_bytes=50 * MIB, _max_partition_fetch_bytes=MIB
        )

    @property
    def most_kept(self) -> int:
        """A response while it is read, and the rest of what was fetched."""
        return int(self._fetcher._fetch_max_bytes)


def test_all_partitions_of_the_member_and_the_response_in_flight_fit() -> None:
    budget, main = FetchBudget(64 * MIB), FakeConsumer()
    for partitions in (1, 16, 32, 300):
        budget.assign_main(main, partitions)  # type: ignore[arg-type]
        kept = partitions * main._fetcher._max_partition_fetch_bytes
        assert kept + main._fetcher._fetch_max_bytes <= 24 * MIB


def test_readers_outside_of_the_group_share_one_half() -> None:
    budget, readers = FetchBudget(96 * MIB), [FakeConsumer() for _ in range(8)]
    for reader in readers:
        budget.open_side(reader)  # type: ignore[arg-type]
    for reader in readers:
        budget.assign_side(reader, 16)  # type: ignore[arg-type]
    kept = sum(16 * each._fetcher._max_partition_fetch_bytes + each.most_kept for each in readers)
    assert kept <= 36 * MIB
    for reader in readers[1:]:
        budget.close(reader)  # type: ignore[arg-type]
    budget.assign_side(readers[0], 16)  # type: ignore[arg-type]
    assert readers[0]._fetcher._max_partition_fetch_bytes == MIB


def test_one_partition_is_never_fetched_in_pieces_below_32_kib() -> None:
    budget, main = FetchBudget(MIB), FakeConsumer()
    budget.assign_main(main, 1000)  # type: ignore[arg-type]
    assert main._fetcher._max_partition_fetch_bytes == 32 * 1024


def test_the_estimate_counts_the_partitions_with_unread_records() -> None:
    budget, main = FetchBudget(96 * MIB), FakeConsumer()
    budget.assign_main(main, 16)  # type: ignore[arg-type]
    assert budget.used_bytes == 0
    main._fetcher._records = {0: object(), 1: object()}
    assert budget.used_bytes == 2 * MIB

"""The counts of the faults of the log: the topic that is created again, transactions, deleted offsets."""

from __future__ import annotations

from tests.faults.facts import Requests, key_of
from tests.faults.ledger import Ledger
from tests.faults.log_acts import miscounted
from tests.faults.names import FIRST_OF_SIDE, FIRST_TRANSACTION
from tests.faults.side_topic import ENTITIES, Published, count_side
from tests.faults.truth import Truth

PATH = 4
FIRST = FIRST_OF_SIDE
SECOND = FIRST_OF_SIDE + ENTITIES


def life(entity: int, events: int) -> Published:
    return Published({key_of(entity, seq): 100 * entity + seq for seq in range(events)})


def accepted(*events: tuple[int, int], status: int = 200) -> Requests:
    requests = Requests()
    for at, (entity, seq) in enumerate(events):
        requests.add(PATH, 1, at, at + 1, status, entity, seq, 100 * entity + seq)
    return requests


def test_only_the_last_life_of_a_topic_must_have_been_delivered_whole() -> None:
    lives = [life(FIRST, 3), life(SECOND, 2)]
    count = count_side(lives, accepted((FIRST, 0), (SECOND, 0), (SECOND, 1)), PATH)
    assert (count.published, count.accepted, count.problems) == ([3, 2], [1, 2], [])
    count = count_side(lives, accepted((FIRST, 0), (FIRST, 1), (FIRST, 2), (SECOND, 1)), PATH)
    assert count.problems == ["side: 1 of 2 events of the last life were not delivered"]


def test_a_refused_request_is_no_delivery_and_one_about_another_path_does_not_count() -> None:
    refused = accepted((SECOND, 0), status=503)
    assert len(count_side([life(SECOND, 1)], refused, PATH).problems) == 1
    assert len(count_side([life(SECOND, 1)], accepted((SECOND, 0)), PATH + 1).problems) == 1


def test_an_unknown_event_another_id_and_a_changed_order_are_problems() -> None:
    unknown = count_side([life(SECOND, 1)], accepted((SECOND, 0), (SECOND, 7)), PATH)
    assert ["unknown event" in problem for problem in unknown.problems] == [True]
    other_id = accepted((SECOND, 0))
    other_id.id_hash[0] += 1
    assert "another id" in count_side([life(SECOND, 1)], other_id, PATH).problems[0]
    turned = count_side([life(SECOND, 2)], accepted((SECOND, 1), (SECOND, 0)), PATH)
    assert ["after a later one" in problem for problem in turned.problems] == [True]


def test_a_repeat_after_a_later_event_is_no_change_of_order() -> None:
    repeated = accepted((SECOND, 0), (SECOND, 1), (SECOND, 0))
    assert count_side([life(SECOND, 2)], repeated, PATH).problems == []


def test_a_committed_transaction_must_be_in_the_log_whole_and_does_not_count_as_published() -> None:
    truth = Truth()
    truth.places = {key_of(7, 0): 0, key_of(FIRST_TRANSACTION, 0): 1, key_of(FIRST_TRANSACTION, 1): 2}
    assert miscounted(truth, 1, {FIRST_TRANSACTION: 2}) == []
    assert "has 2 of 3 events" in miscounted(truth, 1, {FIRST_TRANSACTION: 3})[0]
    assert "2 events sent, 1 in the log" in miscounted(truth, 2, {})[0]


def test_a_deleted_offset_explains_repeats_of_its_endpoint_and_partition_after_it() -> None:
    ledger = Ledger(expired=[(50, "crm", 2)])
    assert ledger.offsets_expired("crm", 2, 40, 60)
    assert not ledger.offsets_expired("crm", 2, 51, 60)
    assert not ledger.offsets_expired("crm", 1, 40, 60)
    assert not ledger.offsets_expired("erp", 2, 40, 60)

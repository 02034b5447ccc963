"""The topics of a source: names, patterns and exclusions, and the mistakes among them."""

from __future__ import annotations

import pytest

OTHER = "[outbox.orders]"
FIRST = "[external-events]"


@pytest.mark.parametrize(
    "topics",
    [
        '["outbox.event.*"]',
        '["outbox.*", "!outbox.event.audit", "!*.tmp"]',
        "[outbox.orders, 'outbox.?oans', 'outbox.[a-m]*', 'out[!x]ox']",
        '["*"]',
        '["*", "!external-*"]',
        '["*.control.*", app.control]',
        '["external-*"]',  # the other source names its topic, so that one is not read twice
    ],
)
def test_names_patterns_and_exclusions_are_accepted_together(given, topics):
    assert given(OTHER, topics) == []


@pytest.mark.parametrize(
    ("topics", "problem"),
    [
        ('["!outbox.*"]', "only excludes, so nothing is read"),
        ('["outbox.*", "!other.*"]', "excludes nothing that this source reads"),
        (
            '[outbox.orders, outbox.loans, "!*.loans"]',
            'outbox.loans": is excluded by "!*.loans" of this source',
        ),
        ('["outbox.*", "outbox.*"]', "is read twice in this source"),
        ('["outbox.*", "!*.a", "!*.a"]', "is read twice in this source"),
        ('["__*"]', "can match nothing"),
        ('["outbox.*.parked"]', "can match nothing"),
        (r"['outbox\.event\..*']", "use letters, digits, dot, _ and -"),
        ("['^outbox.*$']", "use letters, digits, dot, _ and -"),
        ('["outbox[a"]', "has a [ that is never closed"),
        ('["outbox.*", "!!outbox.*"]', "has more than one ! in front"),
        ('["out!box.*"]', "has a ! or ] outside of [abc]"),
        ('["outbox].*"]', "has a ! or ] outside of [abc]"),
        ('["hookferry.again"]', "is a topic that Hookferry itself writes"),
    ],
)
def test_a_mistake_in_the_topics_is_named_with_its_remedy(given, topics, problem):
    lines = given(OTHER, topics)
    assert any(problem in line for line in lines), lines
    assert all("sources.orders.topics" in line for line in lines)


def test_a_pattern_of_which_an_earlier_source_reads_everything_is_a_mistake(given):
    """The first source that matches reads a topic, so the order of the sources counts."""
    (line,) = given(FIRST, '["bank.*"]', OTHER, '["bank.loan.*"]')
    assert "sources.orders.topics[0]" in line
    assert "source fineract, which is listed before, reads all that it matches" in line
    assert given(FIRST, '["bank.loan.*"]', OTHER, '["bank.*"]') == []
    assert given(FIRST, '["bank.*", "!bank.loan.*"]', OTHER, '["bank.loan.*"]') == []
    (line,) = given(FIRST, '["bank.*"]', OTHER, '["bank.*"]')
    assert "is read in source fineract too" in line


def test_a_topic_filter_of_an_endpoint_must_be_able_to_match_a_topic_of_a_pattern(given):
    sources = "    sources: [fineract]\n"
    for pattern, works in (
        ("bank.*", True), ("bank.loan.eu", True), ("*.eu", True), ("shop.*", False), ("bank.audit", False)
    ):  # fmt: skip
        lines = given(FIRST, '["bank.*", "!bank.audit"]', sources, f'{sources}    topics: ["{pattern}"]\n')
        assert bool(lines) != works, (pattern, lines)
        assert all("matches no topic of the endpoint's sources" in line for line in lines)

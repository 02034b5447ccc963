"""Which source reads a topic: compared with the rule in its plainest form, for names and patterns."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.topic_selection import TopicSelection, covers, globs_overlap, is_pattern

WORDS = st.lists(st.sampled_from(["a", "b", "_", "__", ".", "again", ".parked", ".control"]), max_size=5)
NAMES = WORDS.map("".join).filter(bool)
GLOBS = (
    st.lists(
        st.sampled_from(["a", "b", "_", ".", "*", "?", "[ab]", "[!a]", ".again"]), min_size=1, max_size=6
    )
    .map("".join)
    .filter(is_pattern)
)
WIDE = st.sampled_from(["*", "a*", "*a", "*b*", "*.*", "?", "??"])
GLOB = st.one_of(WIDE, GLOBS)
TEXTS = st.lists(st.one_of(NAMES, GLOB, st.one_of(NAMES, GLOB).map("!{}".format)), max_size=5)
SOURCES = st.dictionaries(st.sampled_from(["one", "two", "three"]), TEXTS, min_size=1)


def plain_source_of(sources: dict[str, list[str]], topic: str) -> str | None:
    """Return the source of a topic, by the rule as the documentation has it."""
    named = [name for name, texts in sources.items() if topic in texts and not is_pattern(topic)]
    if named:
        return named[-1]  # two sources with one name are refused when the settings are read
    if topic.startswith("__") or topic.endswith((".parked", ".again", ".control")):
        return None
    for name, texts in sources.items():
        excluded = [text[1:] for text in texts if text.startswith("!")]
        patterns = [text for text in texts if not text.startswith("!") and is_pattern(text)]
        if any(fnmatchcase(topic, p) for p in patterns) and not any(fnmatchcase(topic, e) for e in excluded):
            return name
    return None


@given(SOURCES, NAMES)
def test_a_topic_has_the_source_of_the_plain_rule(sources: dict[str, list[str]], topic: str) -> None:
    selection = TopicSelection(sources)
    expected = plain_source_of(sources, topic)
    assert selection.source_of(topic) == expected
    assert (topic in selection) == (expected is not None)
    assert selection.select([topic]) == ({topic} if expected else set())


@given(SOURCES, NAMES, NAMES)
def test_the_subscription_matches_exactly_the_selected_topics_and_those_added(
    sources: dict[str, list[str]], topic: str, also: str
) -> None:
    """The expression is what the client subscribes with, so it must not differ from the rule."""
    selection = TopicSelection(sources)
    matched = selection.expression([also]).match(topic) is not None
    assert matched == (topic in selection or topic == also)


@given(SOURCES, st.lists(NAMES, max_size=4))
def test_a_pattern_is_awaited_exactly_until_its_source_takes_a_topic_by_it(
    sources: dict[str, list[str]], topics: list[str]
) -> None:
    selection = TopicSelection(sources)
    expected = [
        pattern
        for name, texts in sources.items()
        for pattern in texts
        if is_pattern(pattern) and not pattern.startswith("!")
        if not any(name in selection.takers(topic) and fnmatchcase(topic, pattern) for topic in topics)
    ]
    assert selection.awaited(topics) == expected


SHORT_GLOBS = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]"]), max_size=3).map("".join)
SHORT_NAMES = ["".join(letters) for length in range(7) for letters in product("ab", repeat=length)]


@given(SHORT_GLOBS, SHORT_GLOBS)
def test_globs_overlap_exactly_if_they_have_a_common_name(one: str, other: str) -> None:
    common = any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in SHORT_NAMES)
    assert globs_overlap(one, other) == common


@given(GLOBS)
def test_a_glob_overlaps_the_example_of_itself_and_the_example_matches(pattern: str) -> None:
    example = TopicSelection({"one": [pattern]}).example("one")
    assert fnmatchcase(example, pattern)
    assert globs_overlap(pattern, example)


@given(SHORT_GLOBS, SHORT_GLOBS)
def test_a_covering_glob_matches_every_name_that_the_covered_one_matches(one: str, other: str) -> None:
    if covers(one, other):
        assert all(fnmatchcase(name, one) for name in SHORT_NAMES if fnmatchcase(name, other))

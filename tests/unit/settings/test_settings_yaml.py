"""What the YAML reader refuses (syntax errors, duplicate keys, tags, cycles), and what it keeps."""

import pytest

from bridge.settings.reading.yaml_source import read_yaml


def lines(text: str) -> list[str]:
    return [str(problem) for problem in read_yaml(text, "f")[1]]


def test_a_syntax_error_is_one_line_with_its_place():
    (line,) = lines("a: 1\nb: [1, 2\nc: 3\n")
    assert line.startswith("f:3:2: YAML syntax: ")


@pytest.mark.parametrize(
    "text", ["a: *hunter2", "a: !hunter2!x y", "a: '${x\nhunter2: b: c", 'a: "\\hunter2"']
)
def test_a_syntax_error_does_not_quote_the_line_which_may_hold_a_secret(text):
    assert lines(text)
    assert "hunter2" not in "".join(lines(text))


def test_a_duplicate_key_is_reported_at_its_second_place():
    assert lines("a: 1\nb: {c: 1, c: 2}\n") == [
        "f:2:11: b.c: is given twice; keep one; the first is in line 2"
    ]


@pytest.mark.parametrize("key", ["1", "true", "null", "[a]", "{a: b}", "yes", "!x y"])
def test_a_key_that_is_not_text_is_refused(key):
    assert "has a key that is not text" in lines(f"? {key}\n: 1\n")[0]


@pytest.mark.parametrize(
    "value", ["!x y", "!!python/name:os.system x", "!!set {a}", "!!binary aGk=", "!x [a]", "!x {a: b}"]
)
def test_an_unknown_tag_is_refused(value):
    assert "has a YAML tag" in lines(f"a: {value}\n")[0]


@pytest.mark.parametrize("value", ["!!int x", "!!bool maybe", "!!float x", "9" * 5000])
def test_a_scalar_that_does_not_fit_its_type_is_refused(value):
    assert "is not a value of its YAML type" in lines(f"a: {value}\n")[0]


DEEP = "a: " + "[" * 5000
DEEP_ALIASES = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [[[[[*a{n - 1}]]]]]" for n in range(1, 400))])


@pytest.mark.parametrize(
    "text",
    [DEEP, DEEP_ALIASES, "a: &x [1, *x]\n", "&x {a: *x, b: *x}\n", "a: &x {<<: *x}\n"],
    ids=["deep", "deep aliases", "cycle in a list", "cycle in a mapping", "cycle through a merge key"],
)
def test_deep_nesting_and_cyclic_aliases_end_with_one_clear_message(text):
    (line,) = lines(text)
    assert line.startswith("f: the file is nested too deeply, or an alias (*) is part of what it refers to; ")


def test_nesting_that_can_be_read_is_not_limited():
    assert lines("a: " + "[" * 100 + "]" * 100) == []


def test_an_escape_that_is_not_a_character_is_refused():
    assert "escape" in lines('a: "\\U00110000"\n')[0]


def test_a_date_stays_text():
    assert read_yaml("a: 2026-01-01\n", "f")[0].data == {"a": "2026-01-01"}


def test_own_keys_win_over_merged_keys_and_the_first_merged_mapping_over_the_second():
    tree, problems = read_yaml("x: &x {p: 1, q: 1}\ny: &y {p: 2, r: 2}\nz: {<<: [*x, *y], q: 3}\n", "f")
    assert not problems
    assert tree.data["z"] == {"p": 1, "r": 2, "q": 3}
    assert tree.marks["z", "q"].key.line == 3


def test_a_value_from_an_alias_has_the_place_where_it_is_written():
    tree, _ = read_yaml("x: &x {p: 1}\nz: *x\n", "f")
    assert tree.marks["z", "p"].value.line == 1

"""What the YAML reader refuses: broken syntax, double keys, tags, bombs; and what it keeps."""

import pytest

from bridge.settings.reading.yaml_source import MAX_VALUES, read_yaml


def lines(text: str) -> list[str]:
    return [str(problem) for problem in read_yaml(text, "f")[1]]


def test_a_syntax_error_is_one_line_with_its_place():
    (line,) = lines("a: 1\nb: [1, 2\nc: 3\n")
    assert line.startswith("f:3:2: YAML syntax: ")


@pytest.mark.parametrize(
    "text", ["a: *hunter2", "a: !hunter2!x y", "a: '${x\nhunter2: b: c", 'a: "\\hunter2"']
)
def test_a_syntax_error_does_not_quote_the_line(text):
    assert lines(text)
    assert "hunter2" not in "".join(lines(text))


def test_a_key_given_twice_is_a_mistake_at_the_second():
    assert lines("a: 1\nb: {c: 1, c: 2}\n") == [
        "f:2:11: b.c: is given twice; keep one; the first is in line 2"
    ]


@pytest.mark.parametrize("key", ["1", "true", "null", "[a]", "{a: b}", "yes", "!x y"])
def test_a_key_that_is_no_text_is_a_mistake(key):
    assert "has a key that is not text" in lines(f"? {key}\n: 1\n")[0]


@pytest.mark.parametrize(
    "value", ["!x y", "!!python/name:os.system x", "!!set {a}", "!!binary aGk=", "!x [a]", "!x {a: b}"]
)
def test_an_unknown_tag_is_a_mistake(value):
    assert "has a YAML tag" in lines(f"a: {value}\n")[0]


@pytest.mark.parametrize("value", ["!!int x", "!!bool maybe", "!!float x", "9" * 5000])
def test_a_scalar_that_belies_its_type_is_a_mistake(value):
    assert "is not what its YAML type says" in lines(f"a: {value}\n")[0]


def test_an_alias_inside_itself_is_a_mistake():
    assert "stands inside what it refers to" in lines("a: &x [1, *x]\n")[0]


def test_an_alias_bomb_is_refused_quickly():
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (line,) = lines("\n".join(rows))
    assert f"more than {MAX_VALUES} values" in line


def test_nesting_is_bounded_also_through_aliases():
    assert "deep" in lines("a: " + "[" * 5000)[0]
    rows = ["a0: &a0 [x]", *(f"a{n}: &a{n} [[[[[[[[[[*a{n - 1}]]]]]]]]]]" for n in range(1, 200))]
    assert "nested more than" in lines("\n".join(rows))[0]


def test_an_escape_that_is_no_character_is_a_mistake():
    assert "escape" in lines('a: "\\U00110000"\n')[0]


def test_what_looks_like_a_date_stays_text():
    assert read_yaml("a: 2026-01-01\n", "f")[0].data == {"a": "2026-01-01"}


def test_merge_keys_give_way_to_own_keys_and_the_first_goes_before_the_second():
    tree, problems = read_yaml("x: &x {p: 1, q: 1}\ny: &y {p: 2, r: 2}\nz: {<<: [*x, *y], q: 3}\n", "f")
    assert not problems
    assert tree.data["z"] == {"p": 1, "r": 2, "q": 3}
    assert tree.marks["z", "q"].key.line == 3


def test_a_value_out_of_an_alias_is_placed_where_it_is_written():
    tree, _ = read_yaml("x: &x {p: 1}\nz: *x\n", "f")
    assert tree.marks["z", "p"].value.line == 1

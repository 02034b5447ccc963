"""Any content of the file and the environment yields settings or ``ConfigError``, nothing else."""

import json
from copy import deepcopy

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.settings import load
from bridge.settings.reading import shape
from tests.support.settings_example import VALID

fuzz = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

KEYS = sorted(
    {
        key
        for path in ((), ("kafka",), ("kafka", "sasl"), ("sources", "x"), ("endpoints", "x"))
        for key in shape.keys(path)
    }
)
ALPHABET = st.characters(exclude_categories=["Cs"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(ALPHABET, max_size=20)
    | st.sampled_from(
        [
            "${env:X}",
            "${file:/etc/passwd}",
            "${",
            "whsec_",
            "json",
            "\ud800",
            "http://[",
            "10.0.0.0/99",
            10**400,
        ]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(ALPHABET, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def load_or_list_problems(path, environ: dict[str, str]) -> None:
    problems: tuple[str, ...] = ()
    try:
        load(path, environ)
    except ConfigError as exc:
        problems = exc.problems or ("none",)
    for problem in problems:
        assert "\n" not in problem
        assert "; " in problem
        problem.encode("utf-8")


@fuzz
@given(text=st.text(ALPHABET, max_size=200))
@example("a: &x [*x]")
@example("{}: 1\n[]: 2\n")
@example("kafka: 0x" + "f" * 5000)
@example("kafka: {session_timeout_s: 0x" + "f" * 5000 + "}")
@example('group: "\\uD800"')
@example('"\\uD800": 1')
@example("? !!python/object:os.system x")
@example("<<: 1")
@example("a: <<\n=: =")
@example("---\na: 1\n---\nb: 2\n")
def test_any_text_yields_settings_or_mistakes(write, text):
    load_or_list_problems(write(text), {})


@fuzz
@given(raw=st.binary(max_size=100))
def test_any_bytes_yield_settings_or_mistakes(folder, raw):
    path = folder / "bridge.yaml"
    path.write_bytes(raw)
    load_or_list_problems(path, {})


@fuzz
@given(value=VALUES)
def test_any_structure_yields_settings_or_mistakes(write, value):
    load_or_list_problems(write(yaml.safe_dump(value)), {"X": "\udcff"})


@fuzz
@given(data=st.data(), value=VALUES)
def test_any_value_in_any_place_yields_settings_or_mistakes(write, data, value):
    document = deepcopy(yaml.safe_load(VALID))
    node = document
    while True:
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        if isinstance(node, dict) and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(KEYS))
        node[key] = value
        break
    load_or_list_problems(write(yaml.safe_dump(document)), {"X": "x"})


@fuzz
@given(
    names=st.lists(st.sampled_from([*KEYS, "CRM", "ORDERS", "X", ""]), min_size=1, max_size=4),
    value=VALUES.map(lambda v: json.dumps(v, default=str))
    | st.text(max_size=10)
    | st.sampled_from(["[" * 5000, '{"a":' * 900 + "1" + "}" * 900]),
)
def test_any_variable_yields_settings_or_mistakes(write, names, value):
    load_or_list_problems(
        write(VALID), {"HOOKFERRY_" + "__".join(names).upper(): value, "HOOKFERRY_KAFKA": value}
    )

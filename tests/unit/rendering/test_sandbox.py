"""The sandbox refuses forbidden syntax when it compiles a template, and stops excessive work when it runs."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

import itertools
import time
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

from bridge.rendering.sandbox import Sandbox, TemplateFault, TemplateMistake, as_text
from bridge.rendering.sandbox.budget import MAX_CHARS, MAX_STEPS

DATA: dict[str, Any] = {
    "name": "Jane",
    "none": None,
    "list": [3, 1, 2],
    "many": list(range(5000)),
    "long": "x" * 100_000,
    "amount": Decimal("12.50"),
    "rows": [{"n": "a", "v": 1}, {"n": "b", "v": None}],
    "items": "a key called items",
}


def run(source: str, data: Any = DATA) -> str:
    return Sandbox(as_text, ["data", "type"]).compile(source, "the body").run({"data": data, "type": "T"})


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("{{ data.name }} {{ data['name'] }} {{ data.list[1] }}", "Jane Jane 1"),
        ("{{ data.items }}", "a key called items"),
        ("{% for n in data.list %}{{ n }}{{ ', ' if not loop.last }}{% endfor %}", "3, 1, 2"),
        ("{% for n in data.list %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
        ("{% for n in data.none %}never{% else %}nothing{% endfor %}", "nothing"),
        ("{% for n in data.list if n > 1 %}{{ n }}{% endfor %}", "32"),
        ("{% for k, v in data.rows[0] | items %}{{ k }}={{ v }};{% endfor %}", "n=a;v=1;"),
        ("{% if data.name == 'Jane' and not data.none %}yes{% endif %}", "yes"),
        ("{% set n = data.amount * 2 %}{{ n }}", "25.00"),
        ("{% set ns = namespace(t=0) %}{% for n in data.list %}{% set ns.t = ns.t + n %}{% endfor %}{{ ns.t }}", "6"),
        ("{% macro hi(x) %}Hi {{ x }}{% endmacro %}{{ hi(data.name) }}", "Hi Jane"),
        ("{% set x %}<{{ data.name }}>{% endset %}{{ x }}{{ x ~ 1 }}", "<Jane><Jane>1"),
        ("{% with a = 1 %}{{ a }}{% endwith %}", "1"),
        ("{{ data.name ~ '-' ~ 3 }} {{ 'a' + 'b' }}", "Jane-3 ab"),
        ("{{ data.rows | map(attribute='n') | join('/') }}", "a/b"),
        ("{{ data.list | map('string') | join }} {{ data.list | sort | join }} {{ data.list | sum }}", "312 123 6"),
        ("{{ data.rows | selectattr('v') | map(attribute='n') | join }}", "ab"),
        ("{{ data.rows | selectattr('v', 'none') | map(attribute='n') | join }}", "b"),
        ("{{ data.none | default('-') }}{{ data.gone | default('-') }}{{ data.a.b.c | default('-') }}", "---"),
        ("{{ data.none.deeper | default('-') }}{{ '' | default('-', true) }}", "--"),
        ("{{ data.gone is defined }} {{ data.none is none }} {{ data.list is sequence }}", "false true true"),
        ("{{ 'abcdef' | truncate(4) }} {{ 'a-b' | replace('-', '+') }} {{ ' x ' | trim }}", "abc… a+b x"),
        ("{{ 2.5 | round }} {{ '2.345' | round(2) }} {{ '7.9' | int }} {{ data.list | max }}", "3 2.35 7 3"),
        ("{{ 'a b' | upper | urlencode }}", "A%20B"),
        ("{{ ([1, 2] + [3]) | length }}", "3"),
        ("a\n{% if true %}\nb\n{% endif %}\nc", "a\nb\nc"),
        ("{# a note #}x", "x"),
        ("{{ dict(a=1).a }}{{ range(3) | join }}", "1012"),
    ],
)  # fmt: skip
def test_supported_template_features_work(source: str, made: str) -> None:
    assert run(source) == made


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'secrets.txt' %}",
        "{% import 'x' as x %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% autoescape false %}{{ data }}{% endautoescape %}",
        "{% filter upper %}{{ data.name }}{% endfilter %}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}",
        "{% set x | upper %}a{% endset %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ data.__class__ }}",
        "{{ data['__class__'] }}",
        "{{ data.name.upper() }}",
        "{{ data.list.append(1) }}",
        "{{ '{0.__class__}'.format(data) }}",
        "{{ (data.name)() }}",
        "{{ data.name | attr('__class__') }}",
        "{{ data.name | safe }}",
        "{{ data.name | center(10 ** 9) }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ data.name | indent(10 ** 9) }}",
        "{{ data.name | wordwrap(1, wrapstring='x' * 10 ** 9) }}",
        "{{ data.list | batch(1, 'x') }}",
        "{{ data | tojson }}",
        "{{ data.list | random }}",
        "{{ lipsum() }}",
        "{{ cycler }}",
        "{{ self._TemplateReference__context }}",
        "{% for n in data.list recursive %}{{ loop([n]) }}{% endfor %}",
        "{{ data(*data.list) }}",
        "{{ data.name is filter }}",
        "{% do data.list.append(1) %}",
        "{{ unknown }}",
        "{{ data.name",
        "{% if data %}",
        "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
        "".join(f"{{% for a{n} in data.list %}}" for n in range(30)) + "{% endfor %}" * 30,
        "x" * 70_000,
    ],
)
def test_forbidden_syntax_is_refused_at_compile_time(source: str) -> None:
    with pytest.raises(TemplateMistake):
        Sandbox(as_text, ["data", "type"]).compile(source, "the body")


def test_a_mistake_names_its_line_and_a_suggestion() -> None:
    sandbox = Sandbox(as_text, ["data", "type"])
    with pytest.raises(TemplateMistake, match='line 3: there is no "dtaa"; did you mean "data"') as one:
        sandbox.compile("a\n\n{{ dtaa.x }}", "the body")
    assert one.value.line == 3
    with pytest.raises(
        TemplateMistake, match="line 2: no filter named 'uper'; did you mean \"upper\""
    ) as two:
        sandbox.compile("a\n{{ type | uper }}", "the body")
    assert two.value.line == 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10 ** 9 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ 10 ** 9 * 'a' }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ 2 ** 100000000 }}",
        "{% set ns = namespace(n=3) %}{% for i in range(9999) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{{ '%s' % data.name }}",
        "{{ '%999999999d' % 1 }}",
        "{{ range(10 ** 9) | join }}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) if false %}{% endfor %}{% endfor %}",
        "{% for i in range(9999) %}" + "text " * 200 + "{% endfor %}",
        "{% for i in range(9999) %}{{ data.long }}{% endfor %}",
        "{{ data.long }}" * 60,
        "{% for i in range(9999) %}{% for j in range(9) if false %}{% endfor %}{% endfor %}",
        "{% for i in range(9999) %}{% if data.many | sort | join == '' %}{% endif %}{% endfor %}",
        "{% for i in range(9999) %}{% if data.long | upper == '' %}{% endif %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(12) }}",
        "{% macro f(n) %}" + "text " * 2000 + "{% endmacro %}{% for i in range(9999) %}{% set x = f(1) %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
        "{{ data.long | replace('', data.long) }}",
        "{{ data.many | join(data.long) }}",
        "{{ data.many | map('replace', '', data.long) | length }}",
        "{{ data.many | map('string') | map('replace', '', data.long) | join }}",
        "{{ '1e999999' | round(2) }}",
        "{{ '1e999999' | int }}",
        "{{ 1 | round(10 ** 9) }}",
        "{{ data.name.nothing }}",
        "{{ range }}",
        "{{ namespace }}",
        "{{ dict }}",
        "{% set f = data %}{{ f(1) }}",
        "{% macro m() %}{% endmacro %}{{ m.name }}{{ m.arguments }}",
        "{% for i in data.name %}{% endfor %}",
        "{% for i in data.list %}{{ loop._iterator }}{% endfor %}",
        "{{ namespace(x=1)._Namespace__attrs }}",
        "{{ 1 / 0 }}",
        "{{ data.name - 1 }}",
        "{{ data.list < data.name }}",
        "{{ data.list | sort(attribute='x.y') | join(data.name, 'q') | int }}",
        "{{ data[data.list] }}",
        "{{ data.list['a'] }}",
        "{{ data.name | int }}",
    ],
)  # fmt: skip
def test_excessive_templates_are_stopped_in_bounded_time_and_memory(source: str) -> None:
    tracemalloc.start()
    began = time.thread_time()
    try:
        with pytest.raises(TemplateFault, match=r"^the body, line 1: "):
            run(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.thread_time() - began < 10, "tracing makes it several times slower"
    assert peak < 16 * MAX_CHARS


def test_a_missing_value_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(
        TemplateFault, match=r'the body, line 2: there is no "nam"; did you mean "name"'
    ) as one:
        run("a\n{{ data.nam }}")
    assert (one.value.line, one.value.missing) == (2, True)
    for source in ("{% if data.nam %}{% endif %}", "{{ data.nam ~ 'x' }}", "{{ data.nam | upper }}",
                   "{{ data.nam + 1 }}", "{{ data.nam == 1 }}", "{{ [data.nam] | join }}",
                   "{% for x in data.nam %}{% endfor %}", "{{ data.nam | sum }}", "{{ data.nam | int }}"):  # fmt: skip
        with pytest.raises(TemplateFault) as other:
            run(source)
        assert other.value.missing, source


def test_errors_contain_no_value_of_the_event() -> None:
    """The reasons of parked events are logged and shown, but the payload is customer data."""
    secret = {"name": "S3CR3T-VALUE", "list": ["S3CR3T-VALUE"], "amount": "S3CR3T-VALUE"}
    for source in (
        "{{ data.name | int }}", "{{ data.name - 1 }}", "{{ data.name.x }}", "{{ data[data.name] }}",
        "{{ data.list[data.name] }}", "{{ data.name | round(data.name) }}", "{{ range(data.name) }}",
        "{{ data.name(1) }}", "{{ data.list | map(data.name) | join }}", "{{ data.list < 1 }}",
        "{{ data.name | truncate(data.name) }}", "{{ {data.list: 1} }}", "{{ data.list | select(data.name) }}",
    ):  # fmt: skip
        with pytest.raises((TemplateFault, TemplateMistake)) as caught:
            run(source, secret)
        assert "S3CR3T" not in str(caught.value), source


def test_each_run_has_the_whole_budget() -> None:
    program = Sandbox(as_text, ["data"]).compile("{% for i in range(9999) %}{{ i }}{% endfor %}", "x")
    for _ in range(MAX_STEPS // 9999 + 2):
        assert program.run({}).endswith("9998")


def test_large_constants_are_not_evaluated_at_compile_time() -> None:
    """Jinja2 folds constants; it must not compute large ones at compile time."""
    began = time.thread_time()
    program = Sandbox(as_text, []).compile(
        "{{ 'ab' | replace('', 'c') }}{% if false %}{{ 'a' * 10 ** 9 }}{% endif %}", "x"
    )
    assert program.run({}) == "cacbc"
    assert time.thread_time() - began < 1


def test_sums_are_exact() -> None:
    amounts = {"l": [Decimal("1234567890123456789012345678.12345678"), Decimal("0.00000001"), "0.1", 1]}
    assert run("{{ data.l | sum }}", amounts) == "1234567890123456789012345679.22345679"


def test_a_template_cannot_change_the_data() -> None:
    data = {"list": [3, 1]}
    run("{{ data.list | sort | join }}{{ data.list | reverse | join }}{{ (data.list + [1]) | length }}", data)
    assert data == {"list": [3, 1]}


def test_endless_macro_recursion_is_reported_as_a_fault_of_the_template() -> None:
    with pytest.raises(TemplateFault, match="stopped: its macro calls are nested too deep"):
        run("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")


def test_a_template_with_few_but_slow_steps_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on the thread's CPU time, so that a busy machine does not park events."""
    clock = itertools.count(0, 0.6)
    monkeypatch.setattr("bridge.rendering.sandbox.budget.time.thread_time", lambda: next(clock))
    with pytest.raises(TemplateFault, match="stopped: it takes more than 1 s of CPU time"):
        run("{% for i in range(9999) %}{% endfor %}")


def test_no_value_of_the_data_can_be_called() -> None:
    called: list[object] = []
    with pytest.raises(TemplateFault, match="not a value cannot be called"):
        run("{% set f = data.f %}{{ f(1) }}", {"f": called.append})
    assert called == []


def test_a_misspelled_name_in_a_huge_mapping_is_reported_quickly() -> None:
    """Suggestions are searched among the first keys only, so that the event is parked quickly."""
    huge = {f"a key of some length {number}": number for number in range(50_000)}
    began = time.thread_time()
    with pytest.raises(TemplateFault, match='there is no "a name of some length"'):
        run("{{ data['a name of some length'] }}", huge)
    assert time.thread_time() - began < 1

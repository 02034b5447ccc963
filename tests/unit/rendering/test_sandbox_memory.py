"""The budget counts what a template creates, and nothing that a template can name gives any of it back."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

import time
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

from bridge.errors import RenderError
from bridge.preflight.samples import sample
from bridge.rendering.sandbox import Sandbox, TemplateFault, TemplateMistake, as_text
from bridge.rendering.sandbox.budget import MAX_CHARS, MAX_STEPS, Budget, BudgetExceeded
from bridge.rendering.template import TemplateBody

DATA: dict[str, Any] = {
    "name": "Jane",
    "long": "x" * 100_000,
    "negative": [-(10**7)] * 400,
    "many": list(range(5000)),
    "nulls": [None] * 5000,
    "document": {f"key {n}": ["value"] * 10 for n in range(300)},
    "amount": Decimal("1E+400"),
}
INTERNAL = (
    "charge!",
    "concat!",
    "over!",
    "unescaped!",
    "sliced!",
    "built!",
    "compared!",
    "searched!",
    "bare!",
    "undecided!",
)


def run(source: str, data: Any = DATA) -> str:
    return Sandbox(as_text, ["data"]).compile(source, "the body").run({"data": data})


@pytest.mark.parametrize(
    "name", [*INTERNAL, "charge", "finalize", "call", "concat", "outside", "filters", "__class__", ""]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_no_filter_reaches_an_operation_of_the_sandbox_by_name(name: str, content_type: str) -> None:
    event = sample("T")
    event.payload = lambda: DATA
    for use in ("data.negative | map('%s')", "data.negative | map(data.f)", "data.negative | select('%s')",
                "data.negative | reject('%s')", "data.negative | selectattr('a', '%s')"):  # fmt: skip
        source = "{% if " + use.replace("%s", name) + " | length > 0 %}{% endif %}"
        with pytest.raises(RenderError):
            TemplateBody({}, source, content_type)(event)


def test_a_refund_does_not_extend_what_a_template_may_render() -> None:
    """``map('charge!')`` over negative numbers once gave 900 MB."""
    source = "{% for i in range(400) %}{% if data.negative | map('charge!') %}{% endif %}{{ data.long }}{% endfor %}"
    with pytest.raises(TemplateFault, match="map needs the name of a filter"):
        run(source)


def test_the_budget_accepts_no_negative_charge() -> None:
    budget = Budget()
    for steps, chars in ((-1, 0), (0, -1), (-1, 5)):
        with pytest.raises(BudgetExceeded):
            budget.spend(steps, chars)
    assert (budget.steps, budget.chars) == (MAX_STEPS, MAX_CHARS)


@pytest.mark.parametrize("name", ["varargs", "kwargs", "caller"])
def test_uncounted_arguments_of_macros_are_not_available(name: str) -> None:
    with pytest.raises(TemplateMistake, match=f'there is no "{name}"'):
        run("{% macro m() %}{{ " + name + " | length }}{% endmacro %}{{ m(1, 2) }}")


DOUBLING = "{% set ns = namespace(x=data.document) %}{% for i in range(64) %}{% set ns.x = _ %}{% endfor %}"
TOO_MUCH = [
    DOUBLING.replace("_", "[ns.x, ns.x]") + "{{ ns.x | json }}",
    DOUBLING.replace("_", "(ns.x, ns.x)") + "{{ ns.x | json }}",
    DOUBLING.replace("_", "{'a': ns.x, 'b': ns.x}") + "{{ ns.x | json }}",
    DOUBLING.replace("_", "dict(a=ns.x, b=ns.x)") + "{{ ns.x | json }}",
    DOUBLING.replace("_", "[none, none] | map('default', ns.x)") + "{{ ns.x | json }}",
    DOUBLING.replace("_", "[ns.x, ns.x]") + "{% set a = ns.x %}{{ a == a }}",
    "{{ data.nulls | map('default', data.document) | json }}",
    "{{ data.nulls | map('default', data.long) | join }}",
    "{{ [data.nulls | map('default', data.document), 1] | json }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(400) %}{% set ns.l = ns.l + [data.long[1:]] %}{% endfor %}",
    "{% set ns = namespace(l=[]) %}{% for i in range(400) %}{% set ns.l = [ns.l, data.many[1:]] %}{% endfor %}",
    "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l, " + "data, " * 2000 + "] %}{% endfor %}",
    "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l, dict(data.document)] %}{% endfor %}",
    "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l, namespace(data.document)] %}{% endfor %}",
    "{% for i in range(9999) %}{% if 'y' in data.long %}{% endif %}{% endfor %}{% for i in range(9999) %}{% if -1 in data.many %}{% endif %}{% endfor %}",
    "{{ data.many | select('in', data.many) | length }}",
    "{% for i in range(9999) %}{% if data.document == data.document %}{% endif %}{% if data.many is eq data.many %}{% endif %}{% endfor %}",
    "{{ data.amount | money(group=data.long) }}",
    "{{ data.amount | money(point=data.long) }}",
    "{% for i in range(9999) %}{% if data.long is lower %}{% endif %}{% endfor %}",
]  # fmt: skip


@pytest.mark.parametrize("source", TOO_MUCH)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_a_template_builds_is_counted_when_it_is_built(source: str, as_json: bool) -> None:
    event = sample("T")
    event.payload = lambda: DATA
    body = TemplateBody({}, source, "application/json" if as_json else "text/plain")
    tracemalloc.start()
    began = time.thread_time()
    try:
        with pytest.raises(RenderError):
            body(event)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.thread_time() - began < 20, "tracing makes it several times slower"
    assert peak < 16 * MAX_CHARS


def test_fragments_of_macros_cannot_grow_without_being_counted() -> None:
    event = sample("T")
    event.payload = lambda: DATA
    for start in (
        "{% set ns.x %}{{ data.name }}{% endset %}",
        "{% set ns.x %}{{ '' ~ none }}{{ none }}{% endset %}",
    ):
        source = (
            "{% set ns = namespace(x='') %}"
            + start
            + '{% for i in range(64) %}{% set ns.x = _ %}{% endfor %}"{{ ns.x }}"'
        )
        for step in ("ns.x ~ ns.x", "ns.x + ns.x"):
            with pytest.raises(RenderError, match="stopped"):
                TemplateBody({}, source.replace("_", step), "application/json")(event)


def test_nothing_of_an_event_is_kept_after_it_was_rendered() -> None:
    budget = Budget()
    budget.create([DATA])
    budget.end()
    assert budget._weights == {}


def test_ordinary_templates_stay_within_the_budget() -> None:
    data = {"rows": [{"n": f"name {n}", "v": n, "w": [n]} for n in range(2000)]}
    assert (
        len(
            run(
                "{{ data.rows | sort(attribute='v') | map(attribute='n') | map('upper') | join(', ') }}", data
            )
        )
        > 20_000
    )
    assert run("{{ {'a': data.rows, 'b': [1, 2]} | length }}", data) == "2"
    assert run("{% if data.rows | selectattr('v', 'gt', 1990) | length == 9 %}yes{% endif %}", data) == "yes"
    assert (
        run("{% set d = dict(a=1, b=[2]) %}{{ d.a }}{{ d.b[0] }}{{ (1, 2)[1] }}{{ [1, 2, 3][1:] | join }}")
        == "12223"
    )

"""The variables of an assistant's texts, as LiquidJS renders them (contract 13.6), and what one template may cost."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.call import liquid
from aywa.call.template import builtin_variables, render_assistant, render_text

NOW = datetime(2024, 1, 5, 15, 4, 5, 678_000, tzinfo=UTC)


def render(template: str, **variables: Any) -> str:
    problems: list[str] = []
    text = render_text(template, variables, problems, "here", NOW)
    assert problems == []
    return text


def refuse(template: str, **variables: Any) -> str:
    """The template is left as it stands; answers why."""
    problems: list[str] = []
    assert render_text(template, variables, problems, "firstMessage", NOW) == template
    [problem] = problems
    return problem


def test_built_in_variables_are_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert builtin_variables(there) == {
        "now": "2024-01-05T15:04:05.678Z",
        "date": "January 05, 2024",
        "time": "03:04 PM",
        "month": "January",
        "day": "Friday",
        "year": "2024",
    }


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello {{ name }}!", "Hello Jane!"),
        ("Hello {{name}}{{ nobody }}, {{ customer.nothing.at.all }}.", "Hello Jane, ."),
        ("{{ customer.number }}", "+15551234"),
        ("{{ customer.first-name }}", "J"),
        ("{{ items[1] }} {{ items.first }} {{ items.size }} {{ items }}", "b a 2 ab"),
        ("{{ nobody | upcase }}|{{ nobody | default: 'friend' }}|{{ name | default: 'x' }}", "|friend|Jane"),
        ("{{ name | upcase | append: '!' }} {{ items | join: ' and ' }}", "JANE! a and b"),
        ("{{ name | no_such_filter: 1 }}", "Jane"),
        ("{% if vip %}gold{% else %}none{% endif %}", "gold"),
        ("{% if nobody > 18 %}old{% else %}young{% endif %}", "young"),
        ("{% unless nobody %}x{% endunless %}{% for i in items %}{{ i }},{% endfor %}", "xa,b,"),
        ("{% assign x = 3 %}{{ x | times: 2 }}{% comment %}{{ x }}{% endcomment %}", "6"),
        ("{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("{{ price }} {{ whole }} {{ 5 | divided_by: 2 }} {{ 6 | divided_by: 2 }}", "2.5 3 2.5 3"),
        ("{{ 7 | divided_by: 2, true }} {{ 0.1 | plus: 0.2 }}", "3 0.3"),
        ("{{ vip }}{{ nothing }}", "true"),
        ("{{ items | json }}{{ customer | json }}{{ nobody | json }}", '["a","b"]{"number":"+15551234","first-name":"J"}'),
        ("{{ customer | json: 1 }}", '{\n "number": "+15551234",\n "first-name": "J"\n}'),
        ("{{ self }}{{ template }}", "me"),
        ("no variables at all } } %}", "no variables at all } } %}"),
    ],
)  # fmt: skip
def test_as_liquidjs_renders(template: str, text: str) -> None:
    customer = {"number": "+15551234", "first-name": "J"}
    others: dict[str, Any] = {"self": "me", "template": None, "nothing": None}
    variables = {"name": "Jane", "items": ["a", "b"], "vip": True, "price": 2.5, "whole": 3.0} | others
    problems: list[str] = []
    assert render_text(template, variables | {"customer": customer}, problems, "x", NOW) == text
    assert problems == []


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('{{"now" | date: "%I:%M %p", "America/New_York"}}', "10:04 AM"),
        ('{{ "now" | date: "%H:%M" }} {{ "today" | date: "%F%Y" }}', "15:04 %F2024"),
        ('{{ now | date: "%A, %B %-d, %Y", "Asia/Tokyo" }}', "Saturday, January 6, 2024"),
        ('{{ "now" | date }}', "Friday, January 5, 2024 at 3:04 pm +0000"),
        # The manual's own examples.
        ('{{ "1990-12-31T23:00:00Z" | date: "%Y-%m-%dT%H:%M:%S", 360 }}', "1990-12-31T17:00:00"),
        ('{{ "1990-12-31T23:00:00Z" | date: "%Y-%m-%dT%H:%M:%S", "Asia/Colombo" }}', "1991-01-01T04:30:00"),
        ('{{ "1990-12-31T23:00:00+02:00" | date: "%H:%M %z %:z", -90 }}', "22:30 +0130 +01:30"),
        ('{{ 0 | date: "%Y" }} {{ "1704467045" | date: "%s" }} {{ 1.5 | date: "%L" }}', "1970 1704467045 500"),
        ('{{ "2024-07-04" | date: "%a %b %e %q" }}|{{ date | date: "%m/%d" }}', "Thu Jul  4 th|01/05"),
        ('{{ "Fri, 05 Jan 2024 15:04:05 GMT" | date: "%T%X" }}', "%T3:04:05 PM"),
        ('{{ "now" | date: "%^a %#p %_m %-m %03e %5Y %j %U %w %u %y %C" }}', "FRI pm  1 1 005 02024 005 00 5 5 24 20"),
        ('{{ "now" | date: "%k|%l|%I|%P|%N|%3N|%n%t%%|%Q|%c|%x|%" }}',
         "15| 3|03|pm|678000000|678|\n\t%|%Q|1/5/2024, 3:04:05 PM|1/5/2024|%"),
        ('{{ "not a date" | date: "%Y" }}|{{ nobody | date: "%Y" }}|{{ true | date: "%Y" }}', "not a date||true"),
        ('{{ "99999999999999999999" | date: "%Y" }}', "99999999999999999999"),
    ],
)  # fmt: skip
def test_dates_as_liquidjs_has_them(template: str, text: str) -> None:
    assert render(template, **builtin_variables(NOW)) == text


@pytest.mark.parametrize(
    "day", [(1, "st"), (2, "nd"), (3, "rd"), (4, "th"), (11, "th"), (13, "th"), (22, "nd")]
)
def test_ordinals(day: tuple[int, str]) -> None:
    assert render('{{ d | date: "%q" }}', d=f"2024-01-{day[0]:02d}") == day[1]


@pytest.mark.parametrize("zone", ["Nowhere/Town", "America", "../etc/passwd", "/etc/passwd", "", 99_999_999])
def test_a_zone_that_is_none_is_reported(zone: Any) -> None:
    assert refuse('{{ "now" | date: "%H", zone }}', zone=zone) == "firstMessage: FilterArgumentError"


def test_without_a_given_time_now_is_the_clocks() -> None:
    problems: list[str] = []
    year = render_text('{{ "now" | date: "%Y" }}', {}, problems, "x")
    assert int(year) >= 2024
    assert problems == []


# --- values are data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["{{ secret }}", "{% assign x = 1 %}", "}}{{ secret }}", "{{ 'a' | upcase }}", "{% raw %}", '"', "<b>&"],
)
def test_a_value_is_never_rendered_again(value: str) -> None:
    template = (
        "[{{ v }}][{{ v | append: v }}][{% assign w = v %}{{ w }}][{% for i in vs %}{{ i }}{% endfor %}]"
    )
    assert (
        render(template, v=value, vs=[value], secret="s3cret")
        == f"[{value}][{value}{value}][{value}][{value}]"
    )


@given(value=st.text())
def test_any_text_comes_through_as_it_is(value: str) -> None:
    assert render("a {{ v }} b", v=value) == f"a {value} b"


def test_nothing_of_python_shows() -> None:
    assert (
        render("{{ v.__class__ }}{{ v.append }}{{ s.upper }}{{ d.keys }}{{ d.items }}", v=[], s="x", d={})
        == ""
    )


# --- what is wrong is left and named ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "Hi {{ name", "Hi {{ name }", "{% if x %}no end", "{% nonsense %}", "{{ a | }}", "{{ }}", "{% endif %}",
        '{% include "/etc/passwd" %}', '{% render "x" %}', "{{ 1 | divided_by: 0 }}", '{{ "a" | divided_by: "b" }}',
        "{% raw %}", "{% for i in %}{% endfor %}",
    ],
)  # fmt: skip
def test_a_broken_template_is_left_as_it_stands_and_named(template: str) -> None:
    problem = refuse(template, name="Jane")
    assert problem.startswith("firstMessage: ")
    assert "Jane" not in problem


def test_an_assistants_texts_are_rendered_and_nothing_else() -> None:
    document = {
        "name": "{{ name }}",
        "firstMessage": "Hello {{ name }}",
        "endCallMessage": "Bye {{ name ",
        "voicemailMessage": None,
        "model": {
            "provider": "openai",
            "systemPrompt": "You serve {{ name }}",
            "messages": [
                {"role": "system", "content": "It is {{ day }}"},
                {"role": "system", "content": None},
                "not a message",
                {"role": "user", "content": "{% bad %}"},
            ],
        },
        "server": {"url": "https://example.org/{{ name }}"},
    }
    rendered, problems = render_assistant(document, {"name": "Jane", "day": "Friday"})
    assert rendered["name"] == "{{ name }}"
    assert rendered["server"] == document["server"]
    assert rendered["firstMessage"] == "Hello Jane"
    assert rendered["endCallMessage"] == "Bye {{ name "
    assert rendered["model"]["systemPrompt"] == "You serve Jane"
    assert [m["content"] if isinstance(m, dict) else m for m in rendered["model"]["messages"]] == [
        "It is Friday",
        None,
        "not a message",
        "{% bad %}",
    ]
    assert [p.split(":")[0] for p in problems] == ["endCallMessage", "model.messages[3].content"]
    assert document["firstMessage"] == "Hello {{ name }}"


def test_a_document_without_a_model_or_with_a_strange_one() -> None:
    assert render_assistant({}, {}) == ({}, [])
    assert render_assistant({"model": "x", "firstMessage": 5}, {}) == ({"model": "x", "firstMessage": 5}, [])
    assert render_assistant({"model": {"messages": "x"}}, {}) == ({"model": {"messages": "x"}}, [])


# --- limits ----------------------------------------------------------------------------------------------------------


def test_each_limit_lets_through_what_is_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liquid, "TEMPLATE_CHARACTERS", 50)
    assert render("{{ v }}" + "x" * 43, v="") == "x" * 43
    assert refuse("{{ v }}" + "x" * 44, v="") == "firstMessage: TemplateTooLong"
    monkeypatch.setattr(liquid, "TEMPLATE_CHARACTERS", 10_000)

    monkeypatch.setattr(liquid, "VALUE_CHARACTERS", 100)
    assert render("{{ v | upcase }}", v="x" * 99) == "X" * 99
    assert refuse("{{ v | upcase }}", v="x" * 101) == "firstMessage: ResourceLimitError"

    monkeypatch.setattr(liquid, "LIST_ITEMS", 10)
    assert render("{{ (1..10) | join: '' }}") == "12345678910"
    assert refuse("{{ (1..12) | join: '' }}") == "firstMessage: ResourceLimitError"

    loop = "{% for i in (1..20) %}{{ i }}{% endfor %}"
    monkeypatch.setattr(liquid, "WORK_CHARACTERS", len(loop) * 20)
    assert render(loop)
    assert refuse(loop + " ") == "firstMessage: ResourceLimitError"


def test_the_output_has_a_limit() -> None:
    text = "x" * 150_000
    assert render("{{ v }}{{ v }}", v=text) == text * 2
    assert refuse("{{ v }}{{ v }}{{ v }}", v=text) == "firstMessage: OutputStreamLimitError"


BOMBS = {
    "loop": "{% for i in (1..1000000000) %}x{% endfor %}",
    "nested loops": "{% for i in (1..3000) %}{% for j in (1..3000) %}{% endfor %}{% endfor %}",
    "loops in a row": "{% for i in (1..4000) %}{% endfor %}" * 2000,
    "long body": "{% for i in (1..4000) %}" + "{% if s == t %}{% endif %}" * 4000 + "{% endfor %}",
    "table": "{% tablerow i in (1..1000000000) %}x{% endtablerow %}",
    "append": "{% assign x = 'aa' %}{% for i in (1..200) %}{% assign x = x | append: x %}{% endfor %}",
    "capture": "{% assign x = 'aa' %}{% for i in (1..99) %}{% capture x %}{{ x }}{{ x }}{% endcapture %}{% endfor %}",
    "numbers": "{% assign x = 99 %}{% for i in (1..99) %}{% assign x = x | times: x %}{% endfor %}{{ x | upcase }}",
    "replace": "{{ long | replace: '', long }}",
    "replace one": "{{ long | replace: 'x', long }}",
    "join": "{{ long | split: 'y' | concat: many | join: long }}",
    "concat": "{% assign l = many %}{% for i in (1..99) %}{% assign l = l | concat: l %}{% endfor %}",
    "references": "{% assign l = long | split: 'y' %}{% for i in (1..11) %}{% assign l = l | concat: l %}{% endfor %}{{ l }}",
    "split": "{{ long | split: '' | uniq | size }}",
    "uniq": "{{ many | uniq | size }}",
    "strip": "{{ tags | strip_html }}",
    "filters": "{{ long" + "| upcase" * 5000 + "}}",
    "range": "{{ (1..1000000000) | join: ',' }}",
    "width": '{{ "now" | date: "%999999999Y" }}',
    "open output": "{{ " * 50_000,
    "open raw": "{% raw %}" * 20_000,
    "open doc": "{% doc %}" * 20_000,
    "open comment": "{% comment %}" * 15_000,
    "deep": "{% if x %}" * 5000 + "{% endif %}" * 5000,
    "path": "{{ x" + ".a" * 90_000 + " }}",
    "brackets": "{{ x" + "[0" * 90_000 + " }}",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
def test_no_template_takes_long_or_much(bomb: str) -> None:
    values = {"long": "x" * 150_000, "many": [str(n) for n in range(20_000)], "tags": "<script" * 20_000}
    began_s = time.process_time()
    problems: list[str] = []
    text = render_text(bomb, values, problems, "x", NOW)
    # Without the limits: minutes, or the whole memory. (A tracer makes it several times slower.)
    assert time.process_time() - began_s < 10
    assert text == bomb or len(text) < 1000


def test_values_that_are_nested_without_end_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert refuse("{{ v }}", v=deep) == "firstMessage: RecursionError"


def test_prompts_fillers_and_hooks_are_rendered_where_they_are_spoken() -> None:
    document = {
        "messagePlan": {
            "idleMessages": ["Are you there, {{ name }}?"],
            "silenceTimeoutMessage": "Bye {{ name }}.",
        },
        "fillerPlan": {"messages": ["A moment, {{ name }}."], "afterSeconds": 1},
        "hooks": [
            {
                "on": "customer.speech.timeout",
                "do": [
                    {"type": "say", "exact": ["{{ name }}?", "Hello?"]},
                    {"type": "say", "prompt": "Ask {{ name }}."},
                    {
                        "type": "message.add",
                        "message": {"role": "system", "content": "{{ name }} is silent."},
                    },
                    {"type": "tool", "tool": {"url": "https://x/{{ name }}"}},
                    "odd",
                ],
            },
            {"on": "{{ name }}", "do": "odd"},
            "odd",
        ],
    }
    rendered, problems = render_assistant(document, {"name": "Ann"})
    assert problems == []
    assert rendered["messagePlan"] == {
        "idleMessages": ["Are you there, Ann?"],
        "silenceTimeoutMessage": "Bye Ann.",
    }
    assert rendered["fillerPlan"] == {"messages": ["A moment, Ann."], "afterSeconds": 1}
    first, second, third = rendered["hooks"]
    assert first["do"] == [
        {"type": "say", "exact": ["Ann?", "Hello?"]},
        {"type": "say", "prompt": "Ask Ann."},
        {"type": "message.add", "message": {"role": "system", "content": "Ann is silent."}},
        {"type": "tool", "tool": {"url": "https://x/{{ name }}"}},
        "odd",
    ]
    assert (second, third) == ({"on": "{{ name }}", "do": "odd"}, "odd")


def test_a_prompt_that_cannot_be_rendered_is_named_by_its_place() -> None:
    _, problems = render_assistant(
        {"hooks": [{"do": [{"exact": ["{{ name"]}]}], "messagePlan": {"idleMessages": ["{% if %}"]}}, {}
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        "messagePlan.idleMessages[0]",
        "hooks[0].do[0].exact[0]",
    ]

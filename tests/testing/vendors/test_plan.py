from __future__ import annotations

import asyncio
import random

import pytest

from aywa.testing.vendors.plan import Break, Pace, Plan, Plans, ToolCall, Trouble, tokens


def test_a_plan_of_json() -> None:
    body = {
        "first_s": 0.3,
        "per_s": 60,
        "tool_calls": [{"name": "book", "arguments": '{"a": 1}'}],
        "trouble": {"kind": "cut", "after": 3},
    }
    assert Plan.from_json(body) == Plan(
        first_s=0.3,
        per_s=60,
        tool_calls=(ToolCall("book", '{"a": 1}'),),
        trouble=Trouble(Break.CUT, after=3),
    )
    assert Plan.from_json({}) == Plan()


@pytest.mark.parametrize(
    "body",
    [
        {"frist_s": 1},
        {"trouble": {"kind": "explode"}},
        {"trouble": {}},
        {"trouble": 7},
        {"tool_calls": [{}]},
        {"tool_calls": 7},
        {"first_s": "1"},
        {"per_s": -1},
        {"jitter": True},
    ],
)
def test_a_plan_that_is_none(body: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Plan.from_json(body)


def test_the_next_plans_come_first_then_the_standing_one_then_the_default() -> None:
    plans = Plans(Plan(text="default"), {"a": Plan(text="a")})
    plans.next("a", Plan(text="1"), Plan(text="2"))
    assert [plans.take("a").text for _ in range(4)] == ["1", "2", "a", "a"]
    plans.set("a", Plan(text="b", first_s=1))
    plans.change("a", text="c")
    assert plans.take("a") == Plan(text="c", first_s=1)
    assert plans.take("other").text == "default"
    plans.next("a", Plan(text="1"))
    plans.forget()
    assert plans.take("a").text == "c"


def test_what_is_said() -> None:
    plans = Plans()
    assert plans.text("a", Plan(), {}, "else") == "else"
    plans.answer("a", lambda body: f"You said {body['word']}.")
    assert plans.text("a", Plan(), {"word": "hi"}, "else") == "You said hi."
    assert plans.text("a", Plan(text=""), {"word": "hi"}, "else") == ""


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("One.", ["One."]),
        ("One two.", ["One", " two."]),
        ("a  b", ["a", " ", " b"]),
        (" a", [" a"]),
    ],
)
def test_tokens_make_the_text_again(text: str, pieces: list[str]) -> None:
    assert tokens(text) == pieces
    assert "".join(tokens(text)) == text


@pytest.mark.virtual_time
async def test_the_pace_does_not_drift() -> None:
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    pace = Pace(Plan(first_s=0.3), random.Random(1))
    due = []
    for _ in range(4):
        await pace.wait()
        due.append(round(loop.time() - start_s, 6))
        # Work takes time too.
        await asyncio.sleep(0.01)
        pace.passed(0.05)
    assert due == [0.3, 0.35, 0.4, 0.45]
    pace.restart()
    await pace.wait()
    assert loop.time() - start_s == pytest.approx(0.46 + 0.3)


@pytest.mark.virtual_time
async def test_jitter_stays_in_its_share_and_comes_from_the_seed() -> None:
    async def first_s(seed: int) -> float:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        await Pace(Plan(first_s=1.0, jitter=0.2), random.Random(seed)).wait()
        return loop.time() - start_s

    waits_s = [await first_s(seed) for seed in range(20)]
    assert 0.8 <= min(waits_s) < 0.95 < 1.05 < max(waits_s) <= 1.2
    assert waits_s[3] == pytest.approx(await first_s(3))

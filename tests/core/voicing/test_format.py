"""A clause as the voice is given it: which formatters work, replacements, other languages; nothing is lost."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import FORMATTERS, FormatPlan, Pattern, Replacement
from aywa.core.voicing.format import TEXT_MAX, voice_text
from aywa.core.voicing.text import Edit
from tests.core.feed import examples


def spoken(text: str, *formatters: str, language: str = "en", **plan: object) -> str:
    return voice_text(text, FormatPlan(formatters=formatters or None, **plan), language).spoken  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("formatter", "written", "said"),
    [
        ("markdown", "# Hours\n- `nine` ~to~ _five_ | [here](https://a.b/c) ![x](y)", "Hours nine to five here x"),
        ("asterisk", "**Wanted** to say *hi* 2 * 3 * 4 a*b*c", "to say 2 * 3 * 4 a*b*c"),
        ("quote", 'he said "hi" and \u201cbye\u201d, didn\'t he', "he said hi and bye, didn't he"),
        ("dash", "one - two \u2013 three\u2014four--five", "one, two, three, four, five"),
        ("dash", "the end. \u2014 So - well-known", "the end. So, well-known"),
        ("dash", "\u2014 so", "so"),
        ("newline", "one\ntwo.\n\n three:\nfour", "one. two. three: four"),
        ("colon", "price: 5 at 14:00:", "price. 5 at 14:00:"),
        ("acronym", "AI", "A I"),
        ("dollarAmount", "$5 5%", "five dollars 5%"),
        ("email", "a@b.com 5", "a at b dot com 5"),
        ("date", "2023-05-10 14:00", "Wednesday, May 10, 2023 14:00"),
        ("time", "14:00 5km", "2 PM 5km"),
        ("distance", "5km 5kg", "five kilometers 5kg"),
        ("unit", "5km 5kg", "5km five kilograms"),
        ("percentage", "5% 5", "five percent 5"),
        ("phoneNumber", "555-1234 5", "5 5 5, 1 2 3 4 5"),
        ("number", "5 5km", "five 5km"),
        ("stripAsterisk", "**Bold** and *it* 2*3", "Bold and it 2*3"),
    ],
)  # fmt: skip
def test_each_formatter_does_its_own(formatter: str, written: str, said: str) -> None:
    assert spoken(written, formatter) == said


def test_all_of_them_but_the_one_that_takes_words_away() -> None:
    assert set(FORMATTERS) == {
        "markdown", "asterisk", "quote", "dash", "newline", "colon", "acronym", "dollarAmount", "email", "date", "time",
        "distance", "unit", "percentage", "phoneNumber", "number", "stripAsterisk",
    }  # fmt: skip
    text = "Hello <tag> world\n**Wanted** to say *hi*\nWe have NASA here, price: $42.50"
    assert spoken(text) == (
        "Hello world. Wanted to say hi. We have nasa here, price. forty two dollars and fifty cents"
    )
    assert spoken("*all* of 5", *FORMATTERS) == "of five"


def test_a_list_of_none_formats_nothing_but_tags() -> None:
    plan = FormatPlan(formatters=())
    assert voice_text("a *b* <i>$5</i>", plan).spoken == "a *b* $5"
    assert voice_text('a <break time="0.5s"/> <spell>b</spell> <<c>> 1 < 2 > 1', plan).spoken == (
        'a <break time="0.5s"/> <spell>b</spell> <<c>> 1 < 2 > 1'
    )


def test_not_enabled_it_is_spoken_as_it_is_written() -> None:
    assert spoken("**$5**  <b>", enabled=False) == "**$5** <b>"
    # So is what no clause can be.
    assert spoken("$5 " * TEXT_MAX).startswith("$5 $5")


def exact(key: str, value: str, everywhere: bool = False) -> FormatPlan:
    return FormatPlan(replacements=(Replacement(value, key, everywhere=everywhere),))


@pytest.mark.parametrize(
    ("plan", "written", "said"),
    [
        (exact("hello", "hi"), "hello world, hello universe", "hi world, hello universe"),
        (exact("hello", "hi", True), "hello world, hello universe", "hi world, hi universe"),
        # On what is written, before anything is formatted ...
        (exact("NASA", "the space people"), "NASA it is", "the space people it is"),
        (exact("$5", "a fiver"), "$5 or $6", "a fiver or six dollars"),
        # ... and on what is spoken, where nothing else was found.
        (exact("six dollars", "a sixer"), "$5 or $6", "five dollars or a sixer"),
        (exact("dollars", "bucks", True), "$5 or $6", "five bucks or six bucks"),
        # At the edges of words.
        (exact("ST", "STREET", True), "320 ST STOP LAST", "three hundred twenty STREET STOP LAST"),
        (exact("[", "", True), "a [b] [c", "a b] c"),
        (exact("\u5317", "x", True), "\u5317\u4eac", "x\u4eac"),
        (exact("Aywa", "$5"), "Aywa", "$5"),
    ],
)
def test_a_text_is_replaced(plan: FormatPlan, written: str, said: str) -> None:
    assert voice_text(written, plan).spoken == said


def test_replacements_go_in_order_and_what_is_replaced_stays() -> None:
    plan = FormatPlan(replacements=(Replacement("b", "a"), Replacement("c", "b", everywhere=True)))
    assert voice_text("a b", plan).spoken == "b c"


def test_patterns_are_found_by_the_function_that_is_given() -> None:
    plan = FormatPlan(replacements=(Replacement("N", pattern=Pattern("x"), everywhere=True),))
    asked: list[str] = []

    def find(replacement: Replacement, text: str) -> Sequence[Edit]:
        asked.append(text)
        return [Edit(at, at + 4, replacement.value) for at in [text.find("five")] if at >= 0]

    assert voice_text("pay $5", plan, "en", find).spoken == "pay N dollars"
    assert asked == ["pay $5", "pay five dollars"]
    assert voice_text("pay $5", plan).spoken == "pay five dollars"


@pytest.mark.parametrize("language", ["de", "fr-FR", "multi"])
def test_other_languages_are_formatted_without_words(language: str) -> None:
    assert spoken("**Am** 5. Mai: 30% um 14:00 \u2013 0301234567 oder 12345, 2020", language=language) == (
        "Am 5. Mai. 30% um 14:00, 0 3 0, 1 2 3, 4 5 6 7 oder 1 2 3 4 5, 2020"
    )
    assert spoken("12345", "colon", language=language) == "12345"
    assert spoken("12345 und 99", language=language, cutoff=50) == "1 2 3 4 5 und 9 9"
    assert spoken("ABC", language=language) == "ABC"


def test_english_is_any_of_its_kinds_or_nothing_said() -> None:
    assert {spoken("$5", language=each) for each in ("en", "en-US", "EN_gb", "")} == {"five dollars"}


pieces = st.sampled_from(
    '$42.50 5km 555-1234 14:00 5 p.m. a@b.com May 5, 2024 NASA *b* **c** - \u2014 "x" price: # | _x_ [a](b) <i> \n Dr. hello e.g.'
    " 1/2 caf\u00e9 \u4eac\u90fd $ % @ \u00bd 2nd".split(" ")
)
texts = st.lists(pieces, max_size=14).map(" ".join) | st.text(max_size=60)


@examples(300)
@given(texts, st.sampled_from(["en", "de"]))
def test_spans_are_in_order_and_cover_everything(text: str, language: str) -> None:
    said = voice_text(text, FormatPlan(), language)
    assert said.written == " ".join(text.split())
    at = voiced_at = 0
    for span in said.spans:
        assert (span.first, span.voiced_first) == (at, voiced_at)
        at, voiced_at = span.last, span.voiced_last
    assert at == len(said.written.split())
    assert voiced_at == (len(said.spoken.split()) if said.spans else 0)


@examples(300)
@given(st.lists(st.from_regex(r"[a-z\u00e0-\u00f6]{1,8}[,.!?]?", fullmatch=True), max_size=12))
def test_what_no_formatter_knows_goes_through_unchanged(words: list[str]) -> None:
    text = " ".join(words)
    assert voice_text(text, FormatPlan()).spoken == text


CLAUSE = "Your appointment with Dr. Lee is on May 5, 2024 at 2:30 p.m., it costs $42.50, call 555-123-4567."


def test_a_clause_is_formatted_in_no_time() -> None:
    _ = voice_text(CLAUSE, FormatPlan())
    # By the processor's time, the best of many, untraced: neither a busy machine nor the coverage is what is measured.
    took_s = []
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        for _ in range(30):
            began = time.thread_time()
            _ = voice_text(CLAUSE, FormatPlan())
            took_s.append(time.thread_time() - began)
    finally:
        sys.settrace(trace)
    assert min(took_s) < 0.001

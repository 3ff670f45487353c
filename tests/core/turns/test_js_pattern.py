"""JavaScript's expressions in Python: what they find, and what is refused."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.settings import Pattern
from aywa.core.turns.js_pattern import (
    DEPTH_MAX,
    GROUPS_MAX,
    LENGTH_MAX,
    SIZE_MAX,
    PatternError,
    group_names,
    translate,
)
from tests.core.feed import examples


def found(pattern: Pattern, text: str) -> str | None:
    match = regex.compile(translate(pattern), regex.VERSION0).search(text, timeout=1.0)
    return None if match is None else match.group(0)


@pytest.mark.parametrize(
    ("source", "text", "part"),
    [
        ("", "abc", ""),
        ("order|number", "your number please", "number"),
        ("a|", "b", ""),
        # The two languages differ on each of these; the answers are those of JavaScript.
        ("a$", "a\n", None),
        ("^b", "a\nb", None),
        (r"\d", "\u0663", None),
        (r"\w", "\u00e9", None),
        (r"\s", "\ufeff", "\ufeff"),
        (r"\D\W\S", "\u0663\u00e9x", "\u0663\u00e9x"),
        (r"caf\b", "caf\u00e9", "caf"),
        (r"a\Bb", "ab", "ab"),
        (".", "\u2028", None),
        (".", "x", "x"),
        ("[^]", "\n", "\n"),
        ("a[]", "a", None),
        (r"(?<n>a)\k<n>", "xaa", "aa"),
        (r"\k<n>(?<n>a)", "a", "a"),
        (r"\k", "k", "k"),
        (r"(a)|b\1", "b", "b"),
        (r"(b)\1", "bb", "bb"),
        (r"(a\1)", "a", "a"),
        ("(?<=a+)b", "aab", "b"),
        ("(?<!a)b", "ab b", "b"),
        ("(?=a)*b", "b", "b"),
        ("a(?!b).", "abac", "ac"),
        ("(?:ab)+", "ababx", "abab"),
        ("a{,3}", "a{,3}", "a{,3}"),
        ("a{2}b{1,}c{0,2}d{0}", "aabbcd", "aabbc"),
        ("a+?", "aaa", "a"),
        ("]}{", "]}{", "]}{"),
        (r"[\d-x]", "-", "-"),
        (r"[a\]\b-]", "]", "]"),
        (r"[\b]", "\x08", "\x08"),
        (r"[a\-z]", "-", "-"),
        (r"[a-c\-]+", "abc-", "abc-"),
        (r"[x\-[&|~]+", "[&|~", "[&|~"),
        (r"\u0041\x42\cA\0\t\n\v\f\r", "AB\x01\x00\t\n\v\f\r", "AB\x01\x00\t\n\v\f\r"),
        (r"\ud83d\ude00", "\U0001f600", "\U0001f600"),
        (r"\ud83dx", "x", None),
        (r"\x4\u00g", "x4u00g", "x4u00g"),
        (r"\c1", r"\c1", r"\c1"),
        (r"\z\-\/\.", "z-/.", "z-/."),
        ("(?<a1>x)[(](y)", "x(y", "x(y"),
        (r"\((a)\1", "(aa", "(aa"),
    ],
)
def test_it_finds_what_javascript_finds(source: str, text: str, part: str | None) -> None:
    assert found(Pattern(source), text) == part


@pytest.mark.parametrize(
    ("pattern", "text", "part"),
    [
        (Pattern("\u00c9t\u00c9", ignore_case=True), "\u00e9T\u00e9", "\u00e9T\u00e9"),
        (Pattern("yes"), "YES", None),
        (Pattern("^b$", multi_line=True), "a\nb\rc", "b"),
        (Pattern("^a", multi_line=True), "a", "a"),
        (Pattern("c$", multi_line=True), "a\nc", "c"),
        (Pattern("cat|dog", whole_word=True), "concat hotdogs", None),
        (Pattern("cat|dog", whole_word=True), "a dog.", "dog"),
        (Pattern("CAT", ignore_case=True, whole_word=True), "a cat", "cat"),
    ],
)
def test_the_options(pattern: Pattern, text: str, part: str | None) -> None:
    assert found(pattern, text) == part


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("ab(", "the group is not closed at position 2"),
        ("ab)", "a closing parenthesis without an opening one at position 2"),
        ("a[b", "the set is not closed at position 1"),
        ("a[b-", "the set is not closed at position 1"),
        ("*", "there is nothing to repeat at position 0"),
        ("a**", "there is nothing to repeat at position 2"),
        ("a++", "there is nothing to repeat at position 2"),
        ("a{2}{3}", "there is nothing to repeat at position 4"),
        ("{1}", "there is nothing to repeat at position 0"),
        ("^*", "there is nothing to repeat at position 1"),
        ("(?<=a)+", "there is nothing to repeat at position 6"),
        (r"\b+", "there is nothing to repeat at position 2"),
        ("a{3,2}", "a repeat's numbers are out of order at position 1"),
        ("[z-a]", "a range is out of order at position 2"),
        ("(?i)a", "the group is of no kind that JavaScript knows at position 0"),
        ("(?>a)", "the group is of no kind that JavaScript knows at position 0"),
        ("(?P<n>a)", "the group is of no kind that JavaScript knows at position 0"),
        ("(?<1>a)", "a group's name is not closed with > or holds other signs at position 0"),
        ("(?<n a)", "a group's name is not closed with > or holds other signs at position 0"),
        ("(?<n>a)(?<n>b)", "a second group is named n at position 7"),
        (r"(?<n>a)\k<m>", "there is no group named m at position 7"),
        (r"(?<n>a)\k<n", r"\k is not followed by a name in < > at position 7"),
        (r"(?<n>a)\kn", r"\k is not followed by a name in < > at position 7"),
        (r"a\2(b)", "there is no group 2 at position 1"),
        (r"\100", "there is no group 100 at position 0"),
        (r"\01", "an octal escape: write \\x and two digits at position 0"),
        (r"[\1]", "an octal escape: write \\x and two digits at position 1"),
        (r"\p{L}", r"\p{...} needs the u flag, which rules do not have at position 0"),
        (r"\u{1F600}", r"\u{...} needs the u flag, which rules do not have at position 0"),
        ("a\\", "nothing follows the backslash at position 1"),
        ("a" * (LENGTH_MAX + 1), f"it is longer than {LENGTH_MAX} characters"),
        ("(" * (DEPTH_MAX + 1), f"it is nested more than {DEPTH_MAX} deep"),
        ("()" * (GROUPS_MAX + 1), f"it has more than {GROUPS_MAX} groups"),
        ("(a{1000}){1000}", f"with its repeats written out it has more than {SIZE_MAX} parts"),
        ("a{99999999999}", f"with its repeats written out it has more than {SIZE_MAX} parts"),
    ],
)
def test_what_is_refused_is_told_with_its_place(source: str, problem: str) -> None:
    with pytest.raises(PatternError) as error:
        translate(Pattern(source))
    assert problem in str(error.value)
    assert 0 <= error.value.position <= max(len(source), LENGTH_MAX)


PIECES = [
    *"abA1 .,|()[]^$*+?{}-\\\u00e9\n",
    r"\d", r"\W", r"\s", r"\b", "(?:", "(?=", "(?<!", "(?<n>", r"\k<n>", r"\1", "{2}", "{1,3}", "*?", "[a-c]", "[^b]",
    "[]", "[^]", r"\u0041", r"\cA", "(a)", "{,2}",
]  # fmt: skip


@examples(400)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.booleans(), st.booleans())
def test_what_is_not_refused_can_be_used(pieces: list[str], ignore_case: bool, multi_line: bool) -> None:
    source = "".join(pieces)
    try:
        text = translate(Pattern(source, ignore_case, whole_word=True, multi_line=multi_line))
    except PatternError as error:
        position = error.position
    else:
        position = 0
        _ = regex.compile(text, regex.VERSION0).search("a1 \u00e9b\nAc", timeout=1.0)
    assert 0 <= position <= len(source)


def test_which_groups_have_names() -> None:
    assert group_names(Pattern(r"(a)(?<year>\d+)(?:b)(?<=c)[(?<x>](?<day>e)\(?<z>")) == {"year": 2, "day": 3}
    with pytest.raises(PatternError, match="a second group is named a"):
        _ = group_names(Pattern("(?<a>x)(?<a>y)"))

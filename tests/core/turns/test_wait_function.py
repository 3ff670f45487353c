"""Formulas of the wait, and what is said of those that are none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.turns.wait_function import (
    DEFAULT_WAIT_FUNCTION,
    DEPTH_MAX,
    LENGTH_MAX,
    WAIT_MAX_S,
    FormulaError,
    Node,
    WaitFunction,
    read_wait_function,
)
from tests.core.feed import examples


@pytest.mark.parametrize(
    ("source", "x", "wait_ms"),
    [
        (DEFAULT_WAIT_FUNCTION, 0, 20),
        (DEFAULT_WAIT_FUNCTION, 1, 3020),
        ("200 + 8000 * x", 0.5, 4200),
        ("1e3", 0, 1000),
        (".5e+3 * 2.", 0, 1000),
        ("100 + 2^3^2", 0, 612),
        ("100 - 2^2", 0, 96),
        ("100 + -2^2", 0, 96),
        ("100 - -4", 0, 104),
        ("100 + +4", 0, 104),
        ("100 * 2^-1", 0, 50),
        ("100 - 10 - 5", 0, 85),
        ("800 / 4 / 2", 0, 100),
        ("400x", 0.5, 200),
        ("400 x^2", 0.5, 100),
        ("2(x + 1)(x + 2)", 0, 4),
        ("(10)x", 0.5, 5),
        ("1000 / 2 * x", 0.5, 250),
        ("100pi", 0, 100 * math.pi),
        ("100 * e", 0, 100 * math.e),
        ("sqrt(10000)", 0, 100),
        ("exp(x)", 1, math.e),
        ("log(e^3) * 100", 0, 300),
        ("log(1000, 10) * 100", 0, 300),
        ("abs(x - 101)", 1, 100),
        ("min(300, 100, 200)", 0, 100),
        ("max(300 * x, 100)", 0.1, 100),
        ("pow(10, 2)", 0, 100),
        ("floor(100.9) + ceil(100.1)", 0, 201),
        ("round(99.5) + round(-0.5)", 0, 99),
        ("-500", 0, 0),
        ("1 / 0", 0, 15_000),
        ("-1 / 0", 0, 0),
        ("0^-1", 0, 15_000),
        ("log(x)", 0, 0),
        ("exp(1000) + floor(1/0) + ceil(1/0) + round(1/0)", 0, 15_000),
        ("log(2, 1)", 0, 15_000),
        ("99999999999", 0, 15_000),
    ],
)
def test_what_a_formula_gives(source: str, x: float, wait_ms: float) -> None:
    assert read_wait_function(source).wait_s(x) == pytest.approx(wait_ms / 1000)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "a value is missing at position 0"),
        ("2 +  ", "a value is missing at position 3"),
        ("2 3", "'3' was not expected at position 2"),
        ("2 + y", "'y' is not known"),
        ("x y", "'y' is not known"),
        ("x)", "')' was not expected at position 1"),
        ("(x", "a closing parenthesis is missing at position 2"),
        ("@", "'@' was not expected at position 0"),
        ("sqrt x", "sqrt takes 1 arguments in parentheses at position 0"),
        ("sqrt(1, 2)", "sqrt takes 1 arguments in parentheses at position 0"),
        ("3 * log(1, 2, 3)", "log takes 1 to 2 arguments in parentheses at position 4"),
        ("pow(2)", "pow takes 2 arguments in parentheses at position 0"),
        ("max()", "')' was not expected at position 4"),
        ("min(1, 2", "a closing parenthesis is missing at position 8"),
        ("1 / 2x", "after a division write * where you multiply at position 5"),
        ("import(x)", "'import' is not known"),
        ("٣", "'٣' was not expected at position 0"),
        ("sqrt(x - 1)", "it gives no number for x = 0"),
        ("0 / 0", "it gives no number for x = 0"),
        ("0 * (1/0)", "it gives no number for x = 0"),
        ("min(1, 0/0)", "it gives no number for x = 0"),
        ("max(1, 0/0)", "it gives no number for x = 0"),
        ("(x - 1)^0.5", "it gives no number for x = 0"),
        ("1" * (LENGTH_MAX + 1), f"it is longer than {LENGTH_MAX} characters"),
        ("(" * (DEPTH_MAX + 1), f"it is nested more than {DEPTH_MAX} deep"),
        ("2^" * (DEPTH_MAX + 1) + "1", f"it is nested more than {DEPTH_MAX} deep"),
        ("1" + "+1" * 120, "it has more than 200 parts"),
    ],
)
def test_what_is_no_formula_is_told_with_its_place(source: str, problem: str) -> None:
    with pytest.raises(FormulaError) as error:
        read_wait_function(source)
    assert problem in str(error.value)
    assert 0 <= error.value.position <= LENGTH_MAX


def test_where_there_is_no_number_there_is_no_wait() -> None:
    nowhere = WaitFunction("", Node("sqrt", (Node(value=-1.0),)))
    assert nowhere.wait_s(0.5) is None


def test_a_function_is_its_formula() -> None:
    assert read_wait_function("100 * x") == read_wait_function("100 * x")
    assert read_wait_function("100 * x") != read_wait_function("101 * x")


NUMBERS = st.floats(0, 1e4).map(lambda value: f"{value:.3f}")
FORMULAS = st.recursive(
    NUMBERS | st.just("x"),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
        | inner.map(lambda one: f"-{one}")
        | inner.map(lambda one: f"abs({one})")
        | st.tuples(inner, inner).map(lambda p: f"max({p[0]}, {p[1]})")
    ),
    max_leaves=8,
)


@examples(200)
@given(FORMULAS, st.floats(0, 1))
def test_it_agrees_with_another_reader(source: str, x: float) -> None:
    # Of these formulas Python's own reading is the same.
    expected = eval(source, {"__builtins__": {}}, {"x": x, "abs": abs, "max": max})  # noqa: S307 - our own text
    wait_s = read_wait_function(source).wait_s(x)
    assert wait_s == pytest.approx(min(max(expected / 1000, 0.0), WAIT_MAX_S))


@examples(300)
@given(st.text(st.sampled_from("x0123456789.+-*/^(), esqrtminloga@ "), max_size=60), st.floats(0, 1))
def test_any_text_is_a_wait_in_range_or_a_problem_with_a_place(source: str, x: float) -> None:
    try:
        function = read_wait_function(source)
    except FormulaError as error:
        position, wait_s = error.position, None
    else:
        position, wait_s = 0, function.wait_s(x)
    assert 0 <= position <= len(source)
    assert wait_s is None or 0 <= wait_s <= WAIT_MAX_S

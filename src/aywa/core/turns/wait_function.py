"""smartEndpointingPlan.waitFunction: how long to wait by x, the probability that the caller goes on speaking (contract 9.1).

A small part of math.js, read by hand: numbers, x, pi, e, + - * / ^, parentheses, and the functions below; `2x` and `2(x + 1)`
multiply. The result is in milliseconds. Length, depth and size are bounded, so that working one out takes microseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

DEFAULT_WAIT_FUNCTION = "20 + 500 * sqrt(x) + 2500 * x^3"
LENGTH_MAX = 500
DEPTH_MAX = 40
NODES_MAX = 200
WAIT_MAX_S = 15.0
# At how many places between 0 and 1 a formula is tried when it is read.
TRIED = 256

_TOKEN = re.compile(
    r"\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\S))", re.ASCII
)
_CONSTANTS = {"pi": math.pi, "e": math.e}


class FormulaError(ValueError):
    """The formula cannot be used. position: counted in characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} at position {position}")
        self.position = position


def _power(base: float, exponent: float) -> float:
    if base == 0 and exponent < 0:
        return math.inf
    return math.pow(base, exponent)


def _divide(dividend: float, divisor: float) -> float:
    if divisor:
        return dividend / divisor
    return math.nan if not dividend or math.isnan(dividend) else math.copysign(math.inf, dividend)


def _log(value: float, base: float = math.e) -> float:
    top = -math.inf if value == 0 else math.log(value)
    return top if base == math.e else _divide(top, math.log(base))


def _round(value: float) -> float:
    # Halves go away from zero, as in math.js.
    return value if math.isinf(value) else math.copysign(math.floor(abs(value) + 0.5), value)


def _floor(value: float) -> float:
    return value if math.isinf(value) else float(math.floor(value))


def _ceil(value: float) -> float:
    return value if math.isinf(value) else float(math.ceil(value))


def _least(*values: float) -> float:
    return math.nan if any(map(math.isnan, values)) else min(values)


def _most(*values: float) -> float:
    return math.nan if any(map(math.isnan, values)) else max(values)


Work = Callable[..., float]
# Name -> what it does, and how many arguments it takes at least and at most.
_FUNCTIONS: dict[str, tuple[Work, int, int]] = {
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (_log, 1, 2),
    "abs": (abs, 1, 1),
    "min": (_least, 1, NODES_MAX),
    "max": (_most, 1, NODES_MAX),
    "pow": (_power, 2, 2),
    "floor": (_floor, 1, 1),
    "ceil": (_ceil, 1, 1),
    "round": (_round, 1, 1),
}
_OPERATORS: dict[str, Work] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "^": _power,
    "neg": lambda a: -a,
}


@dataclass(frozen=True, slots=True)
class Node:
    """A number (no name), x, or an operator or a function over its parts."""

    name: str = ""
    parts: tuple[Node, ...] = ()
    value: float = 0.0

    def work_out(self, x: float) -> float:
        """Raises ValueError where there is no real number."""
        if not self.name:
            return self.value
        if self.name == "x":
            return x
        work = _OPERATORS.get(self.name) or _FUNCTIONS[self.name][0]
        arguments = [part.work_out(x) for part in self.parts]
        try:
            return work(*arguments)
        except OverflowError:
            return math.inf


@dataclass(frozen=True, slots=True)
class WaitFunction:
    """A formula that gives a number for every x from 0 to 1."""

    source: str
    formula: Node

    def wait_s(self, x: float) -> float | None:
        """The wait, between 0 and WAIT_MAX_S; None where the formula gives no number."""
        try:
            milliseconds = self.formula.work_out(x)
        except ValueError:
            return None
        return None if math.isnan(milliseconds) else min(max(milliseconds / 1000, 0.0), WAIT_MAX_S)


def read_wait_function(source: str) -> WaitFunction:
    """Reads it, and tries it over the whole range of x. Raises FormulaError."""
    if len(source) > LENGTH_MAX:
        raise FormulaError(f"it is longer than {LENGTH_MAX} characters", LENGTH_MAX)
    function = WaitFunction(source, _Reader(source).formula())
    for step in range(TRIED):
        x = step / (TRIED - 1)
        if function.wait_s(x) is None:
            raise FormulaError(f"it gives no number for x = {x:.3g}: it begins", 0)
    return function


class _Reader:
    """Descends by precedence: sums, products, signs, powers, values."""

    def __init__(self, source: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while (found := _TOKEN.match(source, at)) is not None:
            kind = ("number", "name", "sign")[(found.lastindex or 1) - 1]
            self._tokens.append((kind, found[found.lastindex or 1], found.start(found.lastindex or 1)))
            at = found.end()
        self._tokens.append(("end", "", len(source.rstrip())))
        self._at = 0
        self._depth = 0
        self._nodes = 0

    def formula(self) -> Node:
        node = self._sum()
        kind, text, _ = self._next
        if kind != "end":
            raise self._error(f"{text!r} was not expected")
        return node

    @property
    def _next(self) -> tuple[str, str, int]:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str | None:
        kind, text, _ = self._next
        if kind != "sign" or text not in texts:
            return None
        self._at += 1
        return text

    def _node(self, name: str, *parts: Node, value: float = 0.0) -> Node:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise self._error(f"it has more than {NODES_MAX} parts")
        return Node(name, parts, value)

    def _error(self, message: str) -> FormulaError:
        return FormulaError(message, self._next[2])

    def _sum(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._error(f"it is nested more than {DEPTH_MAX} deep")
        node = self._product()
        while (operator := self._take("+", "-")) is not None:
            node = self._node(operator, node, self._product())
        self._depth -= 1
        return node

    def _product(self) -> Node:
        node = self._signed()
        divided = False
        while True:
            kind, text, _ = self._next
            if (operator := self._take("*", "/")) is not None:
                node = self._node(operator, node, self._signed())
                divided = operator == "/"
            elif kind == "name" or text == "(":
                if divided:
                    # math.js and people disagree on what 1 / 2x is.
                    raise self._error("after a division write * where you multiply")
                node = self._node("*", node, self._power())
            else:
                return node

    def _signed(self) -> Node:
        signs = 0
        while (sign := self._take("+", "-")) is not None:
            signs += sign == "-"
        node = self._power()
        return self._node("neg", node) if signs % 2 else node

    def _power(self) -> Node:
        node = self._value()
        if self._take("^") is None:
            return node
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._error(f"it is nested more than {DEPTH_MAX} deep")
        # To the right: 2^3^2 is 2^9; and a sign may stand before the exponent.
        exponent = self._signed()
        self._depth -= 1
        return self._node("^", node, exponent)

    def _value(self) -> Node:
        kind, text, _ = self._next
        if self._take("(") is not None:
            node = self._sum()
            self._close()
            return node
        if kind == "number":
            self._at += 1
            return self._node("", value=float(text))
        if kind == "name":
            return self._named(text)
        raise self._error("a value is missing" if kind == "end" else f"{text!r} was not expected")

    def _named(self, name: str) -> Node:
        if name == "x":
            self._at += 1
            return self._node("x")
        if name in _CONSTANTS:
            self._at += 1
            return self._node("", value=_CONSTANTS[name])
        if name not in _FUNCTIONS:
            known = ", ".join(("x", *_CONSTANTS, *_FUNCTIONS))
            raise self._error(f"{name!r} is not known (known: {known})")
        _, least, most = _FUNCTIONS[name]
        named = self._error(
            f"{name} takes {least if least == most else f'{least} to {most}'} arguments in parentheses"
        )
        self._at += 1
        if self._take("(") is None:
            raise named
        parts = [self._sum()]
        while self._take(",") is not None:
            parts.append(self._sum())
        self._close()
        if not least <= len(parts) <= most:
            raise named
        return self._node(name, *parts)

    def _close(self) -> None:
        if self._take(")") is None:
            raise self._error("a closing parenthesis is missing")

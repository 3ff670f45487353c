"""How rules look at a bundle: what is not there, or has another form, is nothing."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.core.support import call_faults, machine_faults
from aywa.core.support.contents import SHAPES
from aywa.core.support.faults import Fault, Files, answers, at, figure, is_running, named, number, rows

FILES = {"a.json": {"b": {"c": 3}, "list": [{"x": 1}, 7, {"x": 2}]}}


def test_paths_lead_to_what_stands_there() -> None:
    assert (at(FILES, "a.json", "b", "c"), at(FILES, "a.json", "no", "c"), at(FILES, "z")) == (3, None, None)
    assert rows(FILES, "a.json", "list") == [{"x": 1}, {"x": 2}]
    assert rows(FILES, "a.json", "b") == []
    assert (number(FILES, "a.json", "b", "c"), number(FILES, "a.json", "b")) == (3.0, None)
    assert (figure(True), figure("3"), figure(2)) == (None, None, 2.0)


def test_a_runtime_runs_that_answers_or_holds_the_folder() -> None:
    held = {"folder.json": {"lock": {"held": True}}}
    alive = {"runtime.json": {"health": {"answered": True}}}
    assert (is_running(held), answers(held)) == (True, False)
    assert (is_running(alive), answers(alive)) == (True, True)
    assert (is_running({}), answers({})) == (False, False)


def test_each_fault_is_named_once() -> None:
    def rule(files: Files) -> Iterator[Fault]:
        yield Fault("one", "seen", "mend it")
        yield Fault("one", "seen elsewhere", "mend it")

    assert [fault.told for fault in named({}, (rule, rule))] == ["seen", "seen elsewhere"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "checkpoint",
                    "newest",
                    "lock",
                    "what",
                    "code",
                    "problem",
                    "checks",
                    "warnings",
                    "rows",
                    "load",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(SHAPES)), JSON, max_size=3))
def test_no_bundle_makes_a_rule_fail(files: Files) -> None:
    found = named(files, (*machine_faults.RULES, *call_faults.RULES))
    assert all(fault.code and fault.told for fault in found)

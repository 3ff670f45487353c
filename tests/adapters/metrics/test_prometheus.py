"""The register over prometheus-client: what was entered is what both pages say, to the last value."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from aywa.adapters.metrics.prometheus import Pages, PrometheusRegister, Reading
from aywa.core.metrics import catalogue as the
from aywa.core.metrics.bounded import OTHER, SERIES_MAX
from aywa.core.metrics.catalogue import METRICS
from tests.core.feed import examples

Sample = tuple[str, tuple[tuple[str, str], ...]]


def of_text(page: bytes) -> dict[Sample, float]:
    """As Prometheus' own parser reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def of_json(page: bytes) -> dict[Sample, float]:
    told: dict[str, Any] = json.loads(page)
    return {
        (sample["name"], tuple(sorted(sample["labels"].items()))): sample["value"]
        for metric in told["metrics"]
        for sample in metric["samples"]
    }


def test_both_pages_say_the_same_value_for_value() -> None:
    register = PrometheusRegister()
    register.begin()
    register.add(the.CALLS_ENDED, 2, 'a "quoted"\nreason\\')
    register.observe(the.TURN_STAGE_SECONDS, 0.3, "model")
    pages = register.pages([Reading(the.CALLS_ACTIVE, {("in-progress",): 3.0})], 1_767_225_600.5)
    told = of_text(pages.text)
    assert told == of_json(pages.json)
    assert json.loads(pages.json)["atSeconds"] == 1_767_225_600.5
    assert told["aywa_calls_ended_total", (("reason", 'a "quoted"\nreason\\'),)] == 2
    assert told["aywa_calls_active", (("status", "in-progress"),)] == 3
    assert told["aywa_turn_stage_seconds_bucket", (("le", "0.3"), ("stage", "model"))] == 1
    assert told["aywa_turn_stage_seconds_bucket", (("le", "0.2"), ("stage", "model"))] == 0
    assert told["aywa_turn_stage_seconds_sum", (("stage", "model"),)] == 0.3
    assert told["process_resident_memory_bytes", ()] > 1_000_000


def test_what_has_no_labels_is_nothing_from_the_beginning() -> None:
    register = PrometheusRegister()
    assert ("aywa_unexplained_gaps_total", ()) not in of_text(register.pages([], 0.0).text)
    register.begin()
    register.begin()
    told = of_text(register.pages([Reading(the.JOURNAL_LOST, {(): 4.0})], 0.0).text)
    assert told["aywa_unexplained_gaps_total", ()] == 0
    assert told["aywa_turn_wire_seconds_count", ()] == 0
    # What is asked for stands for itself, once.
    assert told["aywa_journal_lost_records_total", ()] == 4
    assert not [name for name, _ in told if name.endswith("_created")]


def test_a_metric_has_so_many_series_and_the_rest_is_other() -> None:
    register = PrometheusRegister()
    for number in range(SERIES_MAX + 50):
        register.add(the.CALLS_ENDED, 1, f"reason-{number}")
        register.observe(the.TURN_STAGE_SECONDS, 0.1, f"stage-{number}")
    told = of_text(register.pages([], 0.0).text)
    assert told["aywa_calls_ended_total", (("reason", OTHER),)] == 50
    assert told["aywa_turn_stage_seconds_count", (("stage", OTHER),)] == 50
    assert sum(name == "aywa_calls_ended_total" for name, _ in told) == SERIES_MAX + 1
    assert told["aywa_series_refused_total", (("metric", "aywa_calls_ended_total"),)] == 50


def test_every_metric_of_the_catalogue_can_be_entered_and_is_shown_under_its_name() -> None:
    register = PrometheusRegister()
    readings: list[Reading] = []
    for metric in METRICS:
        labels = tuple("x" for _ in metric.labels)
        if metric.kind == the.COUNTER:
            register.add(metric, 1, *labels)
        elif metric.kind == the.HISTOGRAM:
            register.observe(metric, 0.1, *labels)
        else:
            readings.append(Reading(metric, {labels: 1.0}))
    names = {name for name, _ in of_text(register.pages(readings, 0.0).text)}
    for metric in METRICS:
        assert (f"{metric.name}_count" if metric.kind == the.HISTOGRAM else metric.name) in names


_entries = st.lists(st.tuples(st.sampled_from(METRICS), st.floats(0, 1e9), st.text(max_size=20)), max_size=40)


@examples(60)
@given(_entries)
def test_whatever_is_entered_the_pages_are_equal_and_can_be_read(
    entries: list[tuple[the.Metric, float, str]],
) -> None:
    register = PrometheusRegister()
    asked: dict[str, Reading] = {}
    for metric, value, label in entries:
        labels = tuple(label for _ in metric.labels)
        if metric.kind == the.COUNTER:
            register.add(metric, value, *labels)
        elif metric.kind == the.HISTOGRAM:
            register.observe(metric, value, *labels)
        else:
            asked[metric.name] = Reading(metric, {labels: value})
    pages: Pages = register.pages(list(asked.values()), 1.0)
    assert of_text(pages.text) == of_json(pages.json)

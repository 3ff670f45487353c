"""Every metric is named as Prometheus wants it, once, and bounded."""

from __future__ import annotations

import re
from collections import Counter

from aywa.core.metrics.catalogue import COUNTER, GAUGE, HISTOGRAM, METRICS


def test_names_say_what_is_counted_and_in_what_unit() -> None:
    assert len(METRICS) > 40
    assert [name for name, times in Counter(metric.name for metric in METRICS).items() if times > 1] == []
    for metric in METRICS:
        assert re.fullmatch(r"aywa_[a-z][a-z_]+", metric.name)
        # Prometheus: a counter ends in _total, and nothing else does; base units.
        assert metric.name.endswith("_total") == (metric.kind == COUNTER)
        assert not re.search(r"_(ms|kb|mb|minutes|percent)(_|$)", metric.name)
        assert metric.help.endswith(".")


def test_a_histogram_has_rising_bounds_and_nothing_else_has_any() -> None:
    for metric in METRICS:
        assert metric.kind in (COUNTER, GAUGE, HISTOGRAM)
        assert bool(metric.buckets) == (metric.kind == HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert len(metric.buckets) <= 16


def test_nothing_in_a_label_tells_whose_call_it_was() -> None:
    forbidden = {"call_id", "org_id", "org", "assistant", "number", "customer", "url", "model", "voice"}
    assert not {label for metric in METRICS for label in metric.labels} & forbidden

"""A register that keeps what was entered, for tests."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from aywa.core.metrics.catalogue import COUNTER, HISTOGRAM, Metric


@dataclass
class Entered:
    """sums: of counters; seen: by histograms; each by name and labels."""

    sums: dict[tuple[str, ...], float] = field(default_factory=lambda: defaultdict(float))
    seen: dict[tuple[str, ...], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, metric: Metric, amount: float = 1.0, *labels: str) -> None:
        assert metric.kind == COUNTER
        assert len(labels) == len(metric.labels)
        assert amount >= 0
        self.sums[(metric.name, *labels)] += amount

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        assert metric.kind == HISTOGRAM
        assert len(labels) == len(metric.labels)
        self.seen[(metric.name, *labels)].append(value)

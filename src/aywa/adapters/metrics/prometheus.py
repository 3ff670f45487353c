"""The register over prometheus-client, and pages of it: text and JSON from one reading of all values, so that both say the same.

Counters and histograms are entered from the event loop as things happen. What can be asked for at any time (how many calls are
here) is asked when a page is made. Refuses to know what any of it means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from aywa.core.metrics.bounded import Bounded
from aywa.core.metrics.catalogue import COUNTER, HISTOGRAM, METRICS, SERIES_REFUSED, Metric

Values = Mapping[tuple[str, ...], float]
"""Label values -> value."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric that is asked for, and what it said just now."""

    metric: Metric
    values: Values


class Pages:
    """Values that were taken, to be shown in either form; each is made when it is first asked for, and may be in a thread."""

    def __init__(self, families: Sequence[Family], at_s: float) -> None:
        self._families = families
        self._at_s = at_s

    @cached_property
    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(_Taken(self._families))

    @cached_property
    def json(self) -> bytes:
        """One object."""
        return _json(self._families, self._at_s)


class PrometheusRegister:
    """core.metrics.catalogue.Register. metrics: all that may be entered; those with a reader of their own need not be."""

    def __init__(self, metrics: Iterable[Metric] = METRICS) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._bounded: dict[str, Bounded] = {}
        # Finding a child by its labels costs more than what is done with it.
        self._add: dict[tuple[str, tuple[str, ...]], Callable[[float], None]] = {}
        self._observe: dict[tuple[str, tuple[str, ...]], Callable[[float], None]] = {}
        self._process = ProcessCollector(registry=None)
        self._metrics = {metric.name: metric for metric in metrics}

    def add(self, metric: Metric, amount: float = 1.0, *labels: str) -> None:
        """As the protocol says."""
        key = metric.name, labels
        known = self._add.get(key)
        if known is None:
            counter = self._counters.get(metric.name)
            if counter is None:
                counter = self._counters[metric.name] = Counter(
                    metric.name, metric.help, metric.labels, registry=self._registry
                )
            shown, own = self._shown(metric, labels)
            known = (counter.labels(*shown) if shown else counter).inc
            if own:
                self._add[key] = known
        known(amount)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """As the protocol says."""
        key = metric.name, labels
        known = self._observe.get(key)
        if known is None:
            histogram = self._histograms.get(metric.name)
            if histogram is None:
                histogram = self._histograms[metric.name] = Histogram(
                    metric.name, metric.help, metric.labels, registry=self._registry, buckets=metric.buckets
                )
            shown, own = self._shown(metric, labels)
            known = (histogram.labels(*shown) if shown else histogram).observe
            if own:
                self._observe[key] = known
        known(value)

    def begin(self) -> None:
        """What has no labels is shown from the beginning, as nothing: so a first failure can be told from a first look."""
        for metric in self._metrics.values():
            if metric.labels:
                continue
            if metric.kind == COUNTER and metric.name not in self._counters:
                self.add(metric, 0.0)
            elif metric.kind == HISTOGRAM and metric.name not in self._histograms:
                self._histograms[metric.name] = Histogram(
                    metric.name, metric.help, registry=self._registry, buckets=metric.buckets
                )

    def pages(self, readings: Sequence[Reading], at_s: float) -> Pages:
        """Takes all values. May be called in a thread of its own. at_s: Unix time."""
        return Pages(list(self._families(readings)), at_s)

    def _shown(self, metric: Metric, labels: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        if not labels:
            return labels, True
        bounded = self._bounded.get(metric.name)
        if bounded is None:
            bounded = self._bounded[metric.name] = Bounded()
        shown, own = bounded.of(labels)
        if not own:
            self.add(SERIES_REFUSED, 1, metric.name)
        return shown, own and shown == labels

    def _families(self, readings: Sequence[Reading]) -> Iterator[Family]:
        read = {reading.metric.name for reading in readings}
        for family in (*self._registry.collect(), *self._process.collect()):
            # When a series began is a series more of each, and nobody asked for it.
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            if family.name not in read and f"{family.name}_total" not in read:
                yield family
        for reading in readings:
            metric = reading.metric
            kind = CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily
            found = kind(metric.name, metric.help, labels=metric.labels)
            for labels, value in reading.values.items():
                found.add_metric(labels, value)
            yield found


class _Taken(Collector):
    """Values that were taken, as a registry."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._taken = families

    def collect(self) -> Iterable[Family]:
        return self._taken


def _json(families: Sequence[Family], at_s: float) -> bytes:
    metrics = [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}
                for sample in family.samples
            ],
        }
        for family in families
    ]
    return orjson.dumps({"atSeconds": at_s, "metrics": metrics})

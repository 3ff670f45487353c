"""The alert rules as they are in deploy/, and what names of metrics a PromQL expression uses."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from typing import Any

from aywa.core.metrics.catalogue import HISTOGRAM, METRICS
from tests.docs.test_commands import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "deploy" / "runbooks"
OF_PROCESS = frozenset(
    (
        "up",
        "process_open_fds",
        "process_max_fds",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    )
)
"""What Prometheus itself says, and the process' collector of its client."""
_NAME = re.compile(r"\b((?:aywa|process)_[a-z0-9_]+|up)\b(?!\s*=)(\{[^}]*\})?")
_LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_BY = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
OF_SCRAPE = frozenset(("job", "instance"))


@dataclass(frozen=True)
class Alert:
    name: str
    expr: str
    for_: str
    labels: dict[str, str]
    annotations: dict[str, str]

    def annotated(self, labels: dict[str, str]) -> dict[str, str]:
        """As it is told of a series."""

        def said(text: str) -> str:
            return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels.get(found[1], ""), text)

        return {name: said(text) for name, text in self.annotations.items()}


def load(text: str) -> Any:
    """YAML."""
    yaml: Any = importlib.import_module("yaml")
    return yaml.safe_load(text)


def alerts() -> dict[str, Alert]:
    [group] = load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    found = [
        Alert(r["alert"], r["expr"], r.get("for", "0m"), r["labels"], r["annotations"])
        for r in group["rules"]
    ]
    assert len({alert.name for alert in found}) == len(found)
    return {alert.name: alert for alert in found}


def shown() -> dict[str, frozenset[str]]:
    """Every series' name that the runtime may show -> its labels."""
    found = dict.fromkeys(OF_PROCESS, frozenset[str]())
    for metric in METRICS:
        labels = frozenset(metric.labels)
        if metric.kind == HISTOGRAM:
            found |= {f"{metric.name}_{end}": labels for end in ("sum", "count")}
            found[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            found[metric.name] = labels
    return found


@dataclass
class Used:
    """names: series that there are not; labels: name and label that it has not."""

    names: set[str] = field(default_factory=set)
    labels: set[tuple[str, str]] = field(default_factory=set)


def unknown(expr: str) -> Used:
    """What an expression asks for and the runtime does not show."""
    series, used = shown(), Used()
    named: set[str] = set()
    for name, selector in _NAME.findall(expr):
        named.add(name)
        if name not in series:
            used.names.add(name)
            continue
        for label in _LABEL.findall(re.sub(r'"[^"]*"', "", selector)):
            if label not in series[name] | OF_SCRAPE:
                used.labels.add((name, label))
    known = frozenset[str]().union(*(series.get(name, frozenset()) for name in named)) | OF_SCRAPE
    for grouped in _BY.findall(expr):
        for label in filter(None, map(str.strip, grouped.split(","))):
            if label not in known:
                used.labels.add(("by", label))
    return used

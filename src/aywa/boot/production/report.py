"""The findings, for a person and for programs. Prints nothing, and refuses to hold a value of a setting's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aywa.boot.finding import Finding
from aywa.boot.production.examine import faults


def as_text(findings: Sequence[Finding], who: str) -> str:
    """Every one, and what it comes to. who: the command that speaks."""
    wrong = faults(findings)
    if not wrong:
        head = f"{who}: nothing keeps production from starting"
    else:
        must = "1 thing must be mended" if len(wrong) == 1 else f"{len(wrong)} things must be mended"
        head = f"{who}: {must} before production starts"
    return "\n".join([head, *(line for finding in findings for line in _lines(finding))])


def _lines(finding: Finding) -> Iterable[str]:
    word = "" if finding.good is False else " (worth knowing)"
    yield ""
    yield f"{finding.code}{word}: {finding.told}"
    yield f"  why:  {finding.why}"
    yield f"  mend: {finding.mend}"


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """For programs."""
    return {
        "ok": not faults(findings),
        "findings": [
            {
                "code": finding.code,
                "setting": finding.setting,
                "fatal": finding.good is False,
                "told": finding.told,
                "why": finding.why,
                "mend": finding.mend,
            }
            for finding in findings
        ],
    }

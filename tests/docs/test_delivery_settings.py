"""The guide to deliveries: its settings are the code's, with their defaults, and it names every cause."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aywa.boot import deliveries
from aywa.boot.deliveries import allowed_from_environment, courier_limits_from_environment
from aywa.core.outbound import LOOPBACK, NOBODY
from aywa.core.webhooks import DEFAULT_SCHEDULE, ORDER_BOUND_S, Cause
from aywa.service.courier import CourierLimits

TEXT = (Path(__file__).parents[2] / "docs/guides/deliveries.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `(RUNTIME_\w+)` \| (.+?) \| .+ \|$", TEXT, re.MULTILINE))


def test_the_guide_names_every_setting_and_no_other() -> None:
    code = Path(str(deliveries.__file__)).read_text("utf-8")
    assert set(ROWS) == set(re.findall(r'"(RUNTIME_[A-Z_]+)"', code))


@pytest.mark.parametrize("name", [name for name, default in ROWS.items() if default.isdigit()])
def test_to_set_the_default_changes_nothing(name: str) -> None:
    assert courier_limits_from_environment({name: ROWS[name]}) == CourierLimits()


def test_who_is_allowed_by_default() -> None:
    assert ROWS["RUNTIME_INTERNAL_ALLOW"] == "loopback while the runtime listens on loopback, else none"
    assert allowed_from_environment(loopback=True, environment={}) == LOOPBACK
    assert allowed_from_environment(loopback=False, environment={}) == NOBODY


def test_the_guide_names_every_cause() -> None:
    causes = TEXT.partition("| cause |")[2].partition("## ")[0]
    assert set(re.findall(r"`(\w+)`", causes)) == {cause.value for cause in Cause}


def test_the_guide_tells_the_schedule_as_it_is() -> None:
    waits = [round(DEFAULT_SCHEDULE.wait_s(retry, 0.5)) for retry in range(DEFAULT_SCHEDULE.retries)]
    assert (waits[:3], waits[-1], len(waits)) == ([5, 20, 80], 6 * 3600, 10)
    assert "about 5 s, 20 s, 80 s and so on, up to 6 h between two, ten" in TEXT
    assert f"longer than {ORDER_BOUND_S:.0f} s" in TEXT

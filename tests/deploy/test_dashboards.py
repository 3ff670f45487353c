"""The dashboards are what their table says, and every panel asks for what the runtime shows."""

from __future__ import annotations

import json

import pytest

from script.dashboards import DASHBOARDS, FOLDER, Panel, grafana, written
from tests.deploy.rules import unknown

PANELS = [panel for dashboard in DASHBOARDS for panel in dashboard.panels]


def test_the_files_are_what_the_table_writes() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == {dashboard.uid for dashboard in DASHBOARDS}
    for dashboard in DASHBOARDS:
        assert (FOLDER / f"{dashboard.uid}.json").read_text() == written(dashboard)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_asks_for_what_there_is(panel: Panel) -> None:
    assert panel.queries
    for expr in panel.queries.values():
        used = unknown(expr)
        assert (used.names, used.labels) == (set(), set())


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_no_two_panels_lie_on_one_place(dashboard: object) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in grafana(dashboard)["panels"]:  # type: ignore[arg-type]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_what_grafana_imports_is_json_with_a_source_to_choose() -> None:
    for file in FOLDER.glob("*.json"):
        told = json.loads(file.read_text())
        [source] = told["templating"]["list"]
        assert source["query"] == "prometheus"
        assert all(panel["datasource"]["uid"] == "${source}" for panel in told["panels"])

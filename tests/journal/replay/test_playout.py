"""The playout that only counts says what the real one says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aywa.core import events as ev
from aywa.journal.replay.playout import Playout as Counted
from aywa.media.playout import Pace, Playout

RATE = 8000
LEAD_S = 0.06

Script = list[tuple[float, str, tuple[int, ...]]]


def counted(script: Script) -> list[ev.Event]:
    playout = Counted("leg", RATE, LEAD_S, framed=True)
    said: list[ev.Event] = []

    def work(at_s: float, name: str, arguments: tuple[int, ...]) -> None:
        said.extend(getattr(playout, name)(*arguments, at_s))

    _run(script, work, lambda: playout.due_s, lambda at_s: said.extend(playout.tick(at_s)))
    return said


def played(script: Script) -> list[ev.Event]:
    said: list[ev.Event] = []
    pace = Pace(RATE, 2, b"\0\0", LEAD_S, 0.5, 600.0, 30.0)
    playout = Playout("leg", pace, lambda frame, heard_s: None, said.append, 0.0)

    def work(at_s: float, name: str, arguments: tuple[int, ...]) -> None:
        if name == "play":
            playout.play(arguments[0], b"\1\1" * arguments[1], at_s)
        else:
            getattr(playout, name)(*arguments, at_s)

    _run(script, work, lambda: playout.due_s, playout.tick)
    return said


def _run(
    script: Script,
    work: Callable[[float, str, tuple[int, ...]], None],
    due: Callable[[], float | None],
    tick: Callable[[float], Any],
) -> None:
    for at_s, name, arguments in [*script, (60.0, "", ())]:
        while (due_s := due()) is not None and due_s < at_s:
            tick(due_s)
        if name:
            work(at_s, name, arguments)


SCRIPTS: dict[str, Script] = {
    "one clause": [(1.0, "play", (1, 12_345)), (1.0, "finish", (1,))],
    "two clauses": [(1.0, "play", (1, 8_000)), (1.4, "play", (1, 16_000)), (1.4, "finish", (1,))],
    "a gap between": [(1.0, "play", (1, 4_000)), (2.5, "play", (1, 8_000)), (2.5, "finish", (1,))],
    "paused": [(0.0, "play", (1, 16_000)), (0.0, "finish", (1,)), (0.77, "pause", ()), (1.5, "resume", (6_720,))],
    "dropped": [(0.0, "play", (1, 16_000)), (0.913, "drop", ()), (1.0, "play", (1, 800)), (1.0, "pause", ())],
    "dropped while paused": [(0.0, "play", (1, 9_000)), (0.305, "pause", ()), (0.4, "pause", ()), (0.5, "drop", ())],
    "another reply": [(0.0, "play", (1, 9_000)), (0.405, "play", (2, 1_600)), (0.405, "finish", (2,)), (0.405, "finish", (1,))],
    "nothing": [(0.0, "drop", ()), (0.0, "resume", (0,))],
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_says_what_the_real_one_says(name: str) -> None:
    def plain(said: list[ev.Event]) -> list[tuple[Any, ...]]:
        kept = [e for e in said if not isinstance(e, ev.PlayoutAdvanced | ev.PlayoutStarved)]
        return [
            (
                type(e).__name__,
                getattr(e, "reply_id", 0),
                getattr(e, "position", 0),
                round(getattr(e, "at_s", 0.0), 2),
            )
            for e in kept
        ]

    script = SCRIPTS[name]
    assert plain(counted(script)) == plain(played(script))

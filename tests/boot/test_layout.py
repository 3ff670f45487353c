"""Which layout the settings give, and what is asked of the system."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.layout import open_layout
from aywa.boot.media_process import NICE, take_priority
from aywa.boot.phone_settings import HIGH, NORMAL, REALTIME, PhoneSettings, phone_from_environment
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from tests.media.rig import LoudVad


async def test_by_default_everything_is_in_one_process() -> None:
    here = Plane(asyncio.get_running_loop(), {8000: LoudVad(8000)})
    layout = open_layout(here, phone_from_environment({}), Path("nowhere"))
    await layout.ready()
    assert layout.plane is here
    assert isinstance(layout.edge, RtpEdge)
    assert layout.problem() is None
    await layout.close()


async def test_a_runtime_without_phones_starts_no_process() -> None:
    here = Plane(asyncio.get_running_loop(), {8000: LoudVad(8000)})
    layout = open_layout(here, PhoneSettings(enabled=False, media_processes=2), Path("nowhere"))
    assert layout.plane is here
    await layout.close()


async def test_a_process_that_cannot_start_is_said() -> None:
    here = Plane(asyncio.get_running_loop(), {8000: LoudVad(8000)})
    # There is no such model: it ends each time.
    layout = open_layout(here, PhoneSettings(media_processes=1, media_priority=NORMAL), Path("nowhere"))
    assert layout.plane is not here
    assert layout.problem() == "no media process is running"
    with pytest.raises(CannotStart, match="media process"):
        await layout.ready()
    await layout.close()


def test_settings() -> None:
    settings = phone_from_environment({"RUNTIME_MEDIA_PROCESSES": "2", "RUNTIME_MEDIA_PRIORITY": "high"})
    assert (settings.media_processes, settings.media_priority) == (2, HIGH)
    assert phone_from_environment({}).media_priority == REALTIME
    for wrong in ("-1", "65", "two"):
        with pytest.raises(CannotStart, match="RUNTIME_MEDIA_PROCESSES"):
            phone_from_environment({"RUNTIME_MEDIA_PROCESSES": wrong})


class _System:
    """What is asked of it. refuses: the error that it answers with."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.asked: list[tuple[Any, ...]] = []

    def nice(self, *arguments: int) -> None:
        self._asked("nice", *arguments)

    def schedule(self, _pid: int, policy: int, _param: object) -> None:
        self._asked("schedule", policy)

    def _asked(self, *what: Any) -> None:
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.asked.append(what)


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (NORMAL, []),
        (HIGH, [("nice", os.PRIO_PROCESS, 0, NICE), ("schedule", os.SCHED_OTHER | os.SCHED_RESET_ON_FORK)]),
        (REALTIME, [("schedule", os.SCHED_FIFO | os.SCHED_RESET_ON_FORK)]),
    ],
)
def test_priority(wanted: str, asked: list[tuple[Any, ...]]) -> None:
    system = _System()
    assert take_priority(wanted, system.nice, system.schedule) == ""
    assert system.asked == asked


@pytest.mark.parametrize("wanted", [HIGH, REALTIME])
def test_a_priority_that_is_refused(wanted: str) -> None:
    system = _System(errno.EPERM)
    assert take_priority(wanted, system.nice, system.schedule) == os.strerror(errno.EPERM)


def test_where_realtime_is_refused_niceness_may_not_be() -> None:
    system = _System()

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no")

    assert (
        take_priority(
            REALTIME, system.nice, lambda pid, policy, _: refused() if policy & os.SCHED_FIFO else None
        )
        == ""
    )
    assert system.asked == [("nice", os.PRIO_PROCESS, 0, NICE)]


def test_a_system_without_schedulers_has_niceness() -> None:
    system = _System()
    assert take_priority(REALTIME, system.nice, None) == ""
    assert system.asked == [("nice", os.PRIO_PROCESS, 0, NICE)]

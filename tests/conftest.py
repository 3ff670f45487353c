"""The rules of the house, for every test.

- A test that leaves a task or a thread behind fails, and the leak is named. (Open files and sockets: the warning
  filters in pyproject.toml turn ResourceWarning into a failure.)
- A skipped test is a failed test, unless it carries the marker `all`; those run with --all only.
- `@pytest.mark.virtual_time` runs a test on a clock that jumps.
- Coverage is recorded per test file, so that script/core_coverage can ask whether a module is covered by its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import coverage
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from aywa.testing.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from tests.peers.seaweedfs import SeaweedFs

# How long an example took to make or to run says something of the machine and nothing of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A connection's own clean-up may need a few turns of the loop after the test has closed it.
TURNS_TO_SETTLE = 5


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="also run the tests marked `all` (weights, long sets)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if pytest_asyncio.is_async_test(item):
            # Set up early, so torn down late: after whatever cleans up. The loop closes after that, and the check
            # for threads, which stands before, comes last of all.
            threads = item.fixturenames.index(leaves_no_thread_behind.__name__)
            item.fixturenames.insert(threads + 1, leaves_no_task_behind.__name__)
    if config.getoption("--all"):
        return
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (left_out if item.get_closest_marker("all") else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"asyncio": asyncio.new_event_loop}


# --- nothing is left behind ------------------------------------------------------------------------------------


@pytest.fixture
async def leaves_no_task_behind() -> AsyncIterator[None]:
    yield
    left: set[asyncio.Task[Any]] = set()
    for _ in range(TURNS_TO_SETTLE):
        left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    names = sorted(f"{task.get_name()} ({task.get_coro()!r})" for task in left if not task.done())
    if names:
        pytest.fail("left a task behind: " + ", ".join(names), pytrace=False)


@pytest.fixture(autouse=True)
def leaves_no_thread_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    # A daemon thread is one that somebody decided need not be waited for.
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in left:
        thread.join(timeout=1)
    names = sorted(thread.name for thread in left if thread.is_alive())
    if names:
        pytest.fail("left a thread behind: " + ", ".join(names), pytrace=False)


# --- servers that several folders' tests share --------------------------------------------------------------------


@pytest.fixture(scope="session")
def seaweed() -> Iterator[SeaweedFs]:
    """An S3 store, with a bucket of its own for whoever asks."""
    # A test of core needs nothing of it.
    from tests.peers.seaweedfs import seaweedfs

    with seaweedfs() as running:
        yield running


# --- a skipped test is a failed test ---------------------------------------------------------------------------


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not item.get_closest_marker("all"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was skipped, and only tests marked `all` may be: {_reason(report.longrepr)}"
        )
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped as a whole: {_reason(report.longrepr)}"
    return report


# --- which file covers what ------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    measuring = coverage.Coverage.current()
    if measuring is None:
        return (yield)
    measuring.switch_context(item.nodeid.partition("::")[0])
    try:
        return (yield)
    finally:
        measuring.switch_context("")

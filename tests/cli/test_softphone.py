"""`aywa softphone` against another softphone, in real time; and what it refuses before it dials."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aywa.cli import app
from aywa.testing.script import Pause
from aywa.testing.softphone.message import NotSip, complete_uri
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Answer, Softphone


async def softphone(*arguments: object) -> Result:
    """Runs the verb in a thread, because it has a loop of its own."""
    words = ["softphone", *map(str, arguments)]
    return await asyncio.to_thread(CliRunner().invoke, app, words, catch_exceptions=False)


@pytest.mark.parametrize(
    ("written", "whole"),
    [
        ("127.0.0.1:5070", "sip:127.0.0.1:5070"),
        ("demo@127.0.0.1:5070", "sip:demo@127.0.0.1:5070"),
        ("demo@[::1]:5070", "sip:demo@[::1]:5070"),
        ("pbx", "sip:pbx"),
        ("sip:demo@pbx", "sip:demo@pbx"),
        ("SIPS:demo@pbx", "SIPS:demo@pbx"),
    ],
)
def test_an_address_without_a_scheme_is_a_sip_address(written: str, whole: str) -> None:
    assert complete_uri(written) == whole


@pytest.mark.parametrize("written", ["tel:+4930123456", "http://pbx", "", "demo@"])
def test_what_is_no_sip_address_is_refused(written: str) -> None:
    with pytest.raises(NotSip):
        complete_uri(written)


async def test_an_address_without_a_scheme_is_dialled(tmp_path: Path) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    called = Softphone(Setup(), on_ready=ready.set_result)
    answering = asyncio.create_task(called.call(Answer(), [Pause(1.0)]))
    place = (await ready).removeprefix("sip:")
    result = await softphone(place, "--talk", "0.2", "--out", tmp_path / "call.wav")
    await answering
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["answered"]
    assert (tmp_path / "call.wav").stat().st_size > 44


async def test_what_cannot_be_dialled_is_said_with_its_mend() -> None:
    result = await softphone("tel:+4930123456")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "write sip:user@host:port" in result.stderr


async def test_keys_that_a_telephone_lacks_are_refused_before_the_call() -> None:
    result = await softphone("sip:demo@127.0.0.1:9", "--keys", "4x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "0-9 * # A-D" in result.stderr


async def test_a_file_that_cannot_be_written_is_told_before_the_call(tmp_path: Path) -> None:
    result = await softphone("sip:demo@127.0.0.1:9", "--out", tmp_path / "not-there" / "call.wav")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no folder" in result.stderr

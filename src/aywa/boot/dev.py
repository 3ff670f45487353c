"""Runs `aywa dev`: starts the runtime, says where it is, serves until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import uvloop

from aywa.boot.engine import open_engine
from aywa.boot.logs import configure_logs
from aywa.boot.memory import use_one_heap
from aywa.boot.open_files import raise_limit
from aywa.boot.settings import RuntimeSettings

if TYPE_CHECKING:
    from aywa.boot.runtime import Runtime

Say = Callable[[str], None]


def run_dev(settings: RuntimeSettings, say: Say) -> None:
    """Blocks until SIGINT or SIGTERM, and until the calls have ended. Raises what Runtime.start raises."""
    use_one_heap()
    configure_logs(settings.data)
    # Before any process is begun: each inherits it.
    raise_limit(settings.calls_max)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, say))


async def _run(settings: RuntimeSettings, say: Say) -> None:
    engine = await open_engine(settings)
    try:
        # A second's worth of imports, while the models load in their own process.
        made = await asyncio.to_thread(import_module, "aywa.boot.runtime")
        await _run_with(made.Runtime(settings, engine), say)
    finally:
        await engine.close()


class _Asked:
    """Counts how often we were told to end. Once what was asked for is under way, asking again cuts it short; and once nothing
    is waited for any more, it ends the process there and then."""

    def __init__(self) -> None:
        self.once = asyncio.Event()
        self.again = asyncio.Event()
        self.waits = False

    def take(self, number: int) -> None:
        """A signal came."""
        if not self.once.is_set():
            self.once.set()
        elif self.waits and not self.again.is_set():
            self.again.set()
        else:
            os._exit(128 + number)


async def _run_with(runtime: Runtime, say: Say) -> None:
    running = asyncio.create_task(_serve(runtime, say), name="dev")
    loop, asked = asyncio.get_running_loop(), _Asked()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.take, number)
    try:
        await _until_either(running, asked.once)
        if asked.once.is_set() and runtime.is_ready and runtime.settings.node.drain_max_s:
            await _drain(runtime, asked, say)
        running.cancel()
        await asyncio.wait([running])
    finally:
        asked.once.set()
        asked.waits = False
        await runtime.stop()
    if not running.cancelled():
        running.result()


async def _drain(runtime: Runtime, asked: _Asked, say: Say) -> None:
    say(
        f"Draining: calls go on for {runtime.settings.node.drain_max_s} s at most; told again, they are ended."
    )
    sys.stdout.flush()
    asked.waits = True
    draining = asyncio.create_task(runtime.drain(), name="drain")
    await _until_either(draining, asked.again)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


async def _until_either(task: asyncio.Task[Any], event: asyncio.Event) -> None:
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _serve(runtime: Runtime, say: Say) -> None:
    await runtime.start()
    await runtime.ready()
    _tell(runtime, say)
    await runtime.serve()


def _tell(runtime: Runtime, say: Say) -> None:
    settings, addresses = runtime.settings, runtime.addresses
    for problem in runtime.problems:
        say(f"  journal    {problem}: what came before it was kept")
    if settings.openai is not None:
        say(f"  model      {settings.openai.model} at {settings.openai.shown_url} (OPENAI_* is set)")
    else:
        say(f"  model      {settings.llm}, on this machine")
    say(f"  data       {settings.data}")
    if runtime.warning is not None:
        say(f"  warning    {runtime.warning}")
    if runtime.first.key_is_new:
        say(f"  API key    {runtime.first.key}   (shown once; kept in {settings.data / 'dev-key'})")
    say(f"  API        {addresses.api}   docs at {addresses.api}/docs")
    if addresses.metrics:
        say(f"  figures    {addresses.metrics}")
    if runtime.analytics is not None:
        say(f"  analytics  {runtime.analytics.where}")
    _tell_phone(runtime, say)
    _tell_freeswitch(runtime, say)
    _tell_pipeline(runtime, say)
    if settings.served is not None:
        say(f"  audio      {addresses.media}")
    elif settings.loopback:
        say(f"\nTalk:  {addresses.api}/")
    else:
        port, media = runtime.port, addresses.media.rpartition(":")[2]
        say(
            f"\nTalk:  {addresses.api}/#key={runtime.first.talk_key}   (self-signed certificate: the browser will ask)"
        )
        say(
            f"  or   ssh -L {port}:localhost:{port} -L {media}:localhost:{media} HOST, then https://localhost:{port}/"
        )
    if runtime.phone_address is not None and settings.served is None:
        say(f"Call:  {runtime.phone_address.uri}")
    say("Stop:  Ctrl-C")
    sys.stdout.flush()


def _tell_pipeline(runtime: Runtime, say: Say) -> None:
    pipeline = runtime.settings.pipeline
    if not pipeline.enabled:
        say("  calls      none are taken (VOICE_PIPELINE_ENABLED=false)")
    if not pipeline.stt:
        say("  hearing    off: keypad only (VOICE_PIPELINE_STT_ENABLED=false)")
    if not pipeline.tts:
        say("  speaking   off: text only (VOICE_PIPELINE_TTS_ENABLED=false)")


def _tell_freeswitch(runtime: Runtime, say: Say) -> None:
    settings = runtime.settings.freeswitch
    if settings.host:
        say(f"  freeswitch event socket of {settings.host} port {settings.port}")
    if runtime.freeswitch_port is not None:
        say(f"  freeswitch calls come to socket {settings.listen_host}:{runtime.freeswitch_port} async full")


def _tell_phone(runtime: Runtime, say: Say) -> None:
    phone = runtime.phone_address
    if phone is None:
        say("  phone      off (RUNTIME_SIP_ENABLED)")
        return
    if phone.moved is not None:
        say(f"  phone      port {phone.moved} is taken: calls come in at {phone.port} (--sip-port chooses)")
    if runtime.settings.phone.tls_port is not None:
        say(f"  phone      over TLS at port {runtime.settings.phone.tls_port}")
    if phone.password and runtime.settings.served is None:
        say(f"  phone      from other machines, user demo, password {phone.password}")

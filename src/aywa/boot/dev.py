"""Runs `aywa dev`: starts the runtime, says where it is, serves until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import uvloop

from aywa.boot.engine import open_engine
from aywa.boot.logs import configure_logs
from aywa.boot.open_files import raise_limit
from aywa.boot.settings import RuntimeSettings

if TYPE_CHECKING:
    from aywa.boot.runtime import Runtime

Say = Callable[[str], None]


def run_dev(settings: RuntimeSettings, say: Say) -> None:
    """Blocks until SIGINT or SIGTERM, and until the calls have ended. Raises what Runtime.start raises."""
    configure_logs()
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


async def _run_with(runtime: Runtime, say: Say) -> None:
    running = asyncio.create_task(_serve(runtime, say), name="dev")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        await asyncio.wait([running])
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            # Asked once more, it does not wait for anything.
            loop.add_signal_handler(number, os._exit, 128 + number)
        await runtime.stop()
    if not running.cancelled():
        running.result()


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
    if runtime.key_is_new:
        say(f"  API key    {runtime.key}   (shown once; kept in {settings.data / 'dev-key'})")
    say(f"  API        {addresses.api}   docs at {addresses.api}/docs")
    _tell_phone(runtime, say)
    _tell_freeswitch(runtime, say)
    if settings.loopback:
        say(f"\nTalk:  {addresses.api}/")
    else:
        port, media = runtime.port, addresses.media.rpartition(":")[2]
        say(
            f"\nTalk:  {addresses.api}/#key={runtime.talk_key}   (self-signed certificate: the browser will ask)"
        )
        say(
            f"  or   ssh -L {port}:localhost:{port} -L {media}:localhost:{media} HOST, then https://localhost:{port}/"
        )
    if runtime.phone_address is not None:
        say(f"Call:  {runtime.phone_address.uri}")
    say("Stop:  Ctrl-C")
    sys.stdout.flush()


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
    if phone.password:
        say(f"  phone      from other machines, user demo, password {phone.password}")

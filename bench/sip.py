"""What a telephone call's beginning and end cost, and whether any of it stays: calls by sipp over UDP on loopback, INVITE with
SDP, 180, 200, ACK, BYE, 200, each hung up HOLD_MS after it was answered.

Two processes, each on a core of its own: sipp, which counts its calls, its retransmissions and how long it waited for the 200;
and the runtime's side, in two sizes. `signalling`: the SIP port alone (sockets, transactions, dialogs, SDP), which answers every
call. `legs`: boot/phone.py as the runtime has it, too, with a pair of ports, an RTP leg, the media plane and the voice detector
for each call; no brain and no journal.

Set-ups (`RATE` a second): cpu_percent of a core by the kernel's count, user and system, from SETTLE_S after the first call until
the last begins; cpu_ms: the same by call. failed: calls that did not go as sipp's own scenario says. answer_ms: INVITE sent ->
200 received, at sipp. retransmissions: of sipp's requests.

left: calls that are not over in the end. garbage_per_call: objects that only the collector would have freed, by the end.

Memory: resident set, looked at every second; grown_kb: median of the last fifth of the run minus that of its second fifth, and
grown_share: by what it is in the end; neither where the run had fewer than five looks. What has ended is kept for 32 s (RFC 3261
17.1.1.2), and is all there in the second fifth when it begins later than that.

Without arguments: 1,500 calls of `signalling` and 20,000 of `legs`, about eight minutes in all. Needs a machine with nothing else
to do: a runtime that is not let run for half a second is sent everything again.

Prints {"signalling": {"cpu_percent", "failed", "grown_kb", ...}, "legs": {...}, "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from aywa.boot.memory import use_one_heap
from bench.processes import Program, answer, cpu_s, program, rss_mb

HOST = "127.0.0.1"
RATE = 50
HOLD_MS = 100
SETTLE_S = 2.0
SIPP = "sipp"
# What a leg's ports rest after a call (media/rtp/settings.py) times the calls that end meanwhile, and more.
MEDIA_PORTS = (20_000, 39_999)


# --- the runtime's process -------------------------------------------------------------------------------------------


async def serve(kind: str) -> None:
    """Prints its port as one JSON line, and what lies about for every line that it is given, until its standard input closes."""
    use_one_heap()
    place, close, left = await (_signalling() if kind == "signalling" else _legs())
    from aywa.boot.runtime import GC_THRESHOLDS

    # As the runtime does when it is ready.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    answer({"port": place})
    while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        answer({**left(), "garbage": gc.collect()})
    await close()


async def _signalling() -> tuple[int, Callable[[], Any], Callable[[], dict[str, int]]]:
    from aywa.adapters.transports.sip.port import SipPort
    from aywa.adapters.transports.sip.settings import SipSettings
    from aywa.core.sip import events as sip
    from aywa.core.sip.admission import AgentSettings
    from aywa.core.sip.offer import LocalMedia

    media = LocalMedia(HOST, MEDIA_PORTS[0], MEDIA_PORTS[0] + 1)

    def take(event: sip.Event) -> None:
        if isinstance(event, sip.InviteReceived):
            port.carry_out(port.agent.ring(event.call, port.now()))
            port.carry_out(port.agent.answer(event.call, media, port.now()))

    port = SipPort(SipSettings(port=0, transports=("udp",)), AgentSettings(), take)
    await port.start()
    return port.bound[0].place[1], port.close, lambda: {"calls": len(port.agent.calls)}


async def _legs() -> tuple[int, Callable[[], Any], Callable[[], dict[str, int]]]:
    from aywa.adapters.codecs import available_codecs, make_coding
    from aywa.adapters.local.silero import SileroVad
    from aywa.adapters.models.cache import models_dir
    from aywa.adapters.srtp.libsrtp import LibSrtp
    from aywa.boot.phone import Phone
    from aywa.boot.phone_port import open_phone_port
    from aywa.boot.phone_settings import PhoneSettings
    from aywa.media.plane import Plane
    from aywa.media.rtp.edge import RtpEdge
    from aywa.media.rtp.settings import RtpSettings

    loop = asyncio.get_running_loop()
    model = models_dir() / "silero" / "silero_vad.onnx"
    plane = Plane(loop, {rate: SileroVad(model, rate) for rate in (8000, 16000)})
    settings = RtpSettings(first_port=MEDIA_PORTS[0], last_port=MEDIA_PORTS[1])
    edge = RtpEdge(loop, plane, settings, coding=make_coding, srtp=LibSrtp)
    codecs = tuple(codec.value for codec, missing in available_codecs().items() if not missing)
    phones = PhoneSettings(port=0)
    host: Any = _Host(loop)
    phone = Phone(phones, host, plane, edge, codecs)
    port, address = await open_phone_port(phones, (HOST,), HOST, phone)
    router: Any = _Router()
    phone.open(port, router)

    async def close() -> None:
        await phone.close(1.0)
        await port.close()
        await plane.close()
        edge.close()

    return address.port, close, lambda: {"calls": len(port.agent.calls)}


class _Host:
    """Has a leg for every call, and nothing to say on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        """None of its calls is over before its caller hangs up."""

    def note(self, call_id: str, kind: str, data: dict[str, Any]) -> None:
        """Keeps no journal."""

    def rang(self, call_id: str) -> None:
        """Nobody waits for that."""

    def leg_plan(self, call_id: str) -> Any:
        from aywa.ports.media import AudioFormat, LegPlan

        return LegPlan(call_id, AudioFormat.MULAW, 8000, self._loop.time(), lambda event: None)

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        return True


class _Router:
    """Takes every call."""

    def __init__(self) -> None:
        self._calls = 0

    async def route(self, invite: Any) -> Any:
        from aywa.ports.calls import CallPlan
        from aywa.ports.media import AudioFormat

        self._calls += 1
        return CallPlan(f"call-{self._calls}", "org", "inboundPhoneCall", {}, AudioFormat.MULAW, 8000, 0)

    async def trunks(self) -> tuple[()]:
        return ()

    async def accounts(self) -> tuple[()]:
        return ()

    def on_change(self, tell: Callable[[], None]) -> None:
        """Never."""


# --- the callers -------------------------------------------------------------------------------------------------------


async def measure(kind: str, calls: int, rate: int, options: argparse.Namespace) -> dict[str, float]:
    """So many calls, so many a second, against a runtime's side of its own."""
    cores = options.cores
    async with program(__file__, "--serve", kind, core=cores[-1], profile=options.profile) as runtime:
        with tempfile.TemporaryDirectory(prefix="aywa-bench-") as folder:
            sipp = await _sipp(Path(folder), runtime.said["port"], calls, rate, cores[0])
            seen = await _watch(runtime, sipp, calls / rate)
            counted = _counted(Path(folder) / "stat.csv")
        left = await runtime.ask()
    row = {
        "calls": calls,
        "rate": rate,
        **seen,
        **counted,
        "left": left["calls"],
        "garbage_per_call": round(left["garbage"] / calls, 2),
    }
    row["cpu_ms"] = round(10 * row["cpu_percent"] / rate, 3)
    return row


async def _sipp(folder: Path, port: int, calls: int, rate: int, core: int) -> asyncio.subprocess.Process:
    command = [
        SIPP, f"{HOST}:{port}", "-sn", "uac", "-s", "bench", "-i", HOST, "-m", str(calls), "-r", str(rate),
        "-l", str(calls), "-d", str(HOLD_MS), "-trace_stat", "-stf", str(folder / "stat.csv"), "-fd", "1",
        "-nostdin", "-timeout", f"{calls // rate + 60}s",
    ]  # fmt: skip
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "TERM": "dumb"},
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )


async def _watch(runtime: Program, sipp: asyncio.subprocess.Process, lasts_s: float) -> dict[str, float]:
    """CPU and memory while it calls."""
    began_s = time.monotonic()
    await asyncio.sleep(SETTLE_S)
    since_s, before_s = time.monotonic(), cpu_s(runtime.pid)
    resident: list[float] = []
    while time.monotonic() - began_s < lasts_s - 1:
        await asyncio.sleep(1)
        resident.append(1024 * rss_mb(runtime.pid))
    used = (cpu_s(runtime.pid) - before_s) / (time.monotonic() - since_s)
    await sipp.wait()
    seen = {"cpu_percent": round(100 * used, 2), "rss_mb": round(rss_mb(runtime.pid), 1)}
    fifth = len(resident) // 5
    if not fifth:  # Of a few seconds nobody can say whether anything grows.
        return seen
    grown = statistics.median(resident[-fifth:]) - statistics.median(resident[fifth : 2 * fifth])
    return {**seen, "grown_kb": round(grown), "grown_share": round(grown / resident[-1], 5)}


def _counted(file: Path) -> dict[str, float]:
    """sipp's own figures, from the last line of its table."""
    names, *_, last = (line.split(";") for line in file.read_text().splitlines() if line)
    row = dict(zip(names, last, strict=False))
    return {
        "succeeded": int(row["SuccessfulCall(C)"]),
        "failed": int(row["FailedCall(C)"]),
        "retransmissions": int(row["Retransmissions(C)"]),
        "answer_ms": round(1000 * _seconds(row["ResponseTime1(C)"]), 1),
    }


def _seconds(text: str) -> float:
    """Of sipp's hours:minutes:seconds:microseconds."""
    hours, minutes, seconds, micros = (int(part) for part in text.split(":"))
    return 3600 * hours + 60 * minutes + seconds + micros / 1e6


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """What the arguments say."""
    plan = [("signalling", 1500, RATE), ("legs", 20_000, RATE)]
    if options.calls:
        plan = [(kind, options.calls, options.rate) for kind in options.only.split(",")]
    figures: dict[str, Any] = {"samples": {}}
    for name, calls, rate in plan:
        row = await measure(name, calls, rate, options)
        figures[name] = row
        figures["samples"].update({f"{name}.{figure}": calls for figure in row})
        sys.stderr.write(f"{name}: {row}\n")
    return figures


def main() -> None:
    """The benchmark, or one of its processes."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--calls", type=int, default=0, help="of each run, instead of the usual ones")
    parser.add_argument("--rate", type=int, default=RATE, help="calls a second")
    parser.add_argument("--only", default="signalling,legs", help="with --calls: signalling, legs")
    parser.add_argument("--profile", default="", help="where the runtime's profile is to be written")
    for name in ("core", "serve"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cores = sorted(os.sched_getaffinity(0)) if options.core is None else [int(options.core)]
    os.sched_setaffinity(0, options.cores[:1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.serve:
            runner.run(serve(options.serve))
            return
        if shutil.which(SIPP) is None:
            raise SystemExit("sipp is not there: apt-get install sip-tester")
        sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()

"""`aywa simulate-providers`: the vendors' wires on loopback, to try the runtime without an account."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from aywa.boot.simulated_providers import Simulated


def simulate_providers(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    speech: Annotated[
        bool, typer.Option("--speech", help="The local recogniser and voice behind them, instead of tones.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate the providers' wires on this machine.

    OpenAI, Anthropic, Deepgram, ElevenLabs and Cartesia on one port, until Ctrl-C. Prints the variables that point a
    runtime at them. Keys that begin with sim- are right, voices and models whose names begin with unknown do not exist.
    POST /_plans says what a route does next: how slow, with what words, where it breaks.

    \b
    aywa simulate-providers --port 8090
    aywa simulate-providers --speech
    curl -d '{"route": "openai.chat", "plan": {"text": "Hello."}}' http://127.0.0.1:8090/_plans
    """
    from aywa.boot.errors import CannotStart
    from aywa.boot.simulated_providers import simulate
    from aywa.ports.errors import ProviderError

    try:
        simulate(host, port, _tell_json if as_json else _tell, speech=speech)
    except KeyboardInterrupt:
        pass
    except (CannotStart, ProviderError) as error:
        typer.echo(f"aywa simulate-providers: {error}", err=True)
        raise typer.Exit(1) from None


def _tell(simulated: Simulated) -> None:
    from aywa.boot.simulated_providers import ROUTES

    for name, value in simulated.environment.items():
        typer.echo(f"export {name}={value}")
    broken = '{"route": "elevenlabs.stream", "times": 1, "plan": {"trouble": {"kind": "cut", "after": 3}}}'
    typer.echo(f"""
# A customer's own, at the same address: /custom-llm, /custom-voice, and as a WebSocket /custom-transcriber
# Plans, for the next request or (without times) from now on: curl -d '{broken}' {simulated.url}/_plans
#   kinds: refuse stall cut html garbage endless slow non-utf8; also first_s, per_s, realtime, jitter, text
#   routes: {" ".join(ROUTES)}
# What was asked: {simulated.url}/_log and {simulated.url}/_counters. Stop: Ctrl-C""")
    sys.stdout.flush()


def _tell_json(simulated: Simulated) -> None:
    from aywa.boot.simulated_providers import ROUTES

    told = {"url": simulated.url, "environment": simulated.environment, "routes": list(ROUTES)}
    typer.echo(json.dumps(told))
    sys.stdout.flush()

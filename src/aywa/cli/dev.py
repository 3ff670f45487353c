"""`aywa dev`: the runtime on this machine, with everything embedded."""

from __future__ import annotations

from typing import Annotated

import typer


def dev(
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than loopback is served with TLS.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=1, max=65534, help="Port of the API and the talk page; the audio takes the next one."
        ),
    ] = 8080,
    sip_port: Annotated[
        int | None,
        typer.Option(
            "--sip-port", min=0, max=65535, help="Port for phone calls, the next free one; 0: any. [5060]"
        ),
    ] = None,
    calls_max: Annotated[
        int,
        typer.Option(
            "--calls-max",
            min=1,
            max=10_000,
            envvar="RUNTIME_CALLS_MAX",
            help="Calls at once. Of more, those to telephones wait, the others are refused.",
        ),
    ] = 50,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="No model weights: a rule-based receptionist on 300 MB.")
    ] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="The larger language model: slower, wiser.")
    ] = False,
) -> None:
    """Start the runtime and print the address to open.

    Data lie in AYWA_HOME. With OPENAI_API_KEY or OPENAI_BASE_URL set, that route thinks instead of the local model.

    Examples:

      aywa dev

      aywa dev --tiny --port 9000

      aywa dev --host 0.0.0.0

      aywa dev --sip-port 5080
    """
    from dataclasses import replace

    from aywa.boot.dev import run_dev
    from aywa.boot.equipment_settings import equipment_from_environment
    from aywa.boot.errors import CannotStart
    from aywa.boot.freeswitch_settings import freeswitch_from_environment
    from aywa.boot.node_settings import node_from_environment
    from aywa.boot.phone_settings import phone_from_environment
    from aywa.boot.serve_settings import pipeline_from_environment
    from aywa.boot.settings import (
        LLM_QUALITY,
        LLM_RULES,
        RuntimeSettings,
        keys_from_environment,
        openai_from_environment,
    )
    from aywa.ports.errors import ProviderError
    from aywa.ports.journal import StoreUnavailable
    from aywa.ports.store import StoreTooNew

    if tiny and quality:
        raise typer.BadParameter("choose one of --tiny and --quality")
    try:
        phone = phone_from_environment()
        equipment = equipment_from_environment()
        freeswitch = freeswitch_from_environment()
        node = node_from_environment()
        pipeline = pipeline_from_environment()
    except CannotStart as error:
        typer.echo(f"aywa dev: {error}", err=True)
        raise typer.Exit(1) from None
    settings = RuntimeSettings(
        host=host,
        port=port,
        openai=None if tiny else openai_from_environment(),
        keys=keys_from_environment(),
        phone=phone,
        equipment=equipment,
        freeswitch=freeswitch,
        node=node,
        pipeline=pipeline,
        calls_max=calls_max,
    )
    if sip_port is not None:
        settings = replace(settings, phone=replace(settings.phone, port=sip_port))
    if tiny or quality:
        settings = replace(settings, llm=LLM_RULES if tiny else LLM_QUALITY)
    try:
        run_dev(settings, typer.echo)
    except KeyboardInterrupt:
        pass
    except (CannotStart, ProviderError, StoreUnavailable, StoreTooNew, OSError) as error:
        typer.echo(f"aywa dev: {error}", err=True)
        raise typer.Exit(1) from None

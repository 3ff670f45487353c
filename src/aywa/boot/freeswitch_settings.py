"""What an operator can set of FreeSWITCH: RUNTIME_FREESWITCH_*, with their defaults; every limit by its name."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import Reader
from aywa.core.esl.audio import FORK, RATES_HZ, STREAM
from aywa.core.esl.commands import WORD

ESL_PORT = 8021
AUTO = "auto"
FORK_FILES, STREAM_FILES = f"{FORK}_files", f"{STREAM}_files"
AUDIO = (AUTO, FORK, FORK_FILES, STREAM, STREAM_FILES)
HANG_UP = "hangup"
ANY = "*"
DIAL = "sofia/gateway/{gateway}/{number}"
LOOPBACK = ("127.0.0.0/8", "::1/128")
_EXTENSION = re.compile(r"[0-9A-Za-z+*#._-]{1,64}(?:@[0-9A-Za-z._-]{1,64})?\Z")
# Without what would end an argument, or be a dial string's list of variables.
_TEMPLATE = re.compile(r"[0-9A-Za-z/{}@:;=._+-]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class FreeSwitchSettings:
    """host, port, password, user: of its event socket; without host nobody is called. listen_port: where its dialplan's `socket`
    comes to, at listen_host and from networks; None: nothing comes. audio: by which module calls' audio travels, at rate_hz.
    dial: how a number is called, with {gateway} and {number}; profile: of mod_sofia, for whole SIP addresses. orgs: who may call
    through it; empty: the first organisation alone. orphans: what becomes of calls that an earlier process left: hangup, or the
    extension[@context] that they go to. patience_s: how long a call that nobody has answered is kept without an event socket.
    start_s: how long the audio's way may take to begin."""

    host: str = ""
    port: int = ESL_PORT
    password: str = field(default="", repr=False)
    user: str = ""
    listen_host: str = "127.0.0.1"
    listen_port: int | None = None
    networks: tuple[str, ...] = LOOPBACK
    audio: str = AUTO
    rate_hz: int = RATES_HZ[0]
    media_url: str = ""
    dial: str = DIAL
    profile: str = "external"
    orgs: tuple[str, ...] = ()
    orphans: str = HANG_UP
    patience_s: float = 60.0
    start_s: float = 10.0

    @property
    def enabled(self) -> bool:
        """There is a FreeSWITCH."""
        return bool(self.host) or self.listen_port is not None

    def may_call(self, org_id: str, first_org_id: str) -> bool:
        """Whether the organisation's calls may go through it."""
        return ANY in self.orgs or org_id in (self.orgs or (first_org_id,))


def mark_of(folder: Path) -> str:
    """By which a runtime's channels are known as its own, also by the process that comes after it."""
    place = f"{socket.gethostname()}:{folder.resolve()}"
    return f"aywa-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def freeswitch_from_environment(environment: Mapping[str, str] | None = None) -> FreeSwitchSettings:
    """What the environment says. Raises CannotStart, naming the variable and what it may hold."""
    read = Reader(os.environ if environment is None else environment)
    host, password = read.text("RUNTIME_FREESWITCH_HOST"), read.text("RUNTIME_FREESWITCH_PASSWORD")
    if host and not password:
        raise CannotStart("RUNTIME_FREESWITCH_PASSWORD is needed beside RUNTIME_FREESWITCH_HOST")
    dial = read.text("RUNTIME_FREESWITCH_DIAL") or DIAL
    if (
        _TEMPLATE.match(dial) is None
        or "{number}" not in dial
        or re.sub(r"\{(gateway|number)\}", "", dial).count("{")
    ):
        raise CannotStart(f"RUNTIME_FREESWITCH_DIAL must be a dial string with {{number}}, got {dial[:80]!r}")
    profile = read.text("RUNTIME_FREESWITCH_PROFILE") or "external"
    if WORD.match(profile) is None:
        raise CannotStart(f"RUNTIME_FREESWITCH_PROFILE must be the name of a profile, got {profile[:40]!r}")
    orphans = read.text("RUNTIME_FREESWITCH_ORPHANS") or HANG_UP
    if _EXTENSION.match(orphans) is None:
        raise CannotStart(
            f"RUNTIME_FREESWITCH_ORPHANS must be {HANG_UP} or EXTENSION@CONTEXT, got {orphans[:40]!r}"
        )
    media_url = read.text("RUNTIME_FREESWITCH_MEDIA_URL").rstrip("/")
    if media_url and not media_url.startswith(("ws://", "wss://")):
        raise CannotStart(
            f"RUNTIME_FREESWITCH_MEDIA_URL must begin with ws:// or wss://, got {media_url[:80]!r}"
        )
    rate = read.choice("RUNTIME_FREESWITCH_RATE", tuple(map(str, RATES_HZ)), str(RATES_HZ[0]))
    return FreeSwitchSettings(
        host=host,
        port=read.port("RUNTIME_FREESWITCH_PORT", ESL_PORT) or ESL_PORT,
        password=password,
        user=read.text("RUNTIME_FREESWITCH_USER"),
        listen_host=read.text("RUNTIME_FREESWITCH_LISTEN_HOST") or "127.0.0.1",
        listen_port=read.port("RUNTIME_FREESWITCH_LISTEN_PORT", None),
        networks=read.networks("RUNTIME_FREESWITCH_NETWORKS", LOOPBACK),
        audio=read.choice("RUNTIME_FREESWITCH_AUDIO", AUDIO, AUTO),
        rate_hz=int(rate),
        media_url=media_url,
        dial=dial,
        profile=profile,
        orgs=read.words("RUNTIME_FREESWITCH_ORGS"),
        orphans=orphans,
    )

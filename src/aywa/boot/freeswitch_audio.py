"""How a channel's audio gets to the runtime and back: which module FreeSWITCH has, and what it is told. Says what it found."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from aywa.adapters.transports.freeswitch.socket import LOST
from aywa.boot.freeswitch_line import SwitchLine, Way
from aywa.boot.freeswitch_settings import AUTO, FORK_FILES, STREAM_FILES, FreeSwitchSettings
from aywa.core.esl import audio, commands
from aywa.core.esl.audio import AudioModule, Back
from aywa.core.esl.link import Replied

_log = structlog.get_logger("aywa.boot.freeswitch")

# One for each start of a FreeSWITCH (Core-UUID).
MODULES_MAX = 16
_ORDER = (Back.STREAMED, Back.UNTOLD, Back.FILES)
_NO_MODULE = (
    "FreeSWITCH has neither mod_audio_fork nor mod_audio_stream: calls get no audio; load one of them, or bridge calls to the"
    " runtime's SIP address"
)


class SwitchAudio:
    """address(protocol, call_id): the whole URL at which a prepared call's audio is awaited. found: what was found last."""

    def __init__(self, settings: FreeSwitchSettings, address: Callable[[str, str], str]) -> None:
        self._settings = settings
        self._address = address
        self._modules: dict[str, AudioModule] = {}
        self.found: AudioModule | None = None

    async def start(self, line: SwitchLine, way: Way) -> Replied:
        """Has the channel's audio sent here, and ours taken."""
        found = self._modules.get(line.core) or await self.look(way, line.core)
        if found is None:
            return LOST
        settings = self._settings
        back = "files" if found.back is Back.FILES else "stream"
        url = f"{self._address(found.name, line.call_id)}?rate={settings.rate_hz}&back={back}"
        try:
            begun = audio.start(found, line.uuid, url, settings.rate_hz)
        except commands.Unsendable as error:
            _log.error("audio_address_unusable", error=str(error))
            return LOST
        if begun.variables:
            values = ";".join(f"{name}={value}" for name, value in begun.variables.items())
            _ = await way.api("uuid_setvar_multi", f"{line.uuid} {values}")
        line.module = found
        return await way.api(begun.command, begun.argument)

    async def look(self, way: Way, core: str = "") -> AudioModule | None:
        """Asks a FreeSWITCH, and says what it has. core: which one it is; it is asked again when that is another."""
        wanted = self._settings.audio
        found = []
        for name in (audio.FORK, audio.STREAM):
            if wanted == AUTO or wanted.startswith(name):
                reply = await way.api(f"uuid_{name}", audio.ASK)
                one = audio.module(name, reply.text)
                if one is not None:
                    found.append(one)
        if wanted in (FORK_FILES, STREAM_FILES):
            found = [AudioModule(one.name, Back.FILES) for one in found]
        best = min(found, key=lambda one: _ORDER.index(one.back), default=None)
        if best is None:
            _log.error("freeswitch_audio", found="none", note=_NO_MODULE)
        else:
            tell = _log.info if best.back is Back.STREAMED else _log.warning
            tell("freeswitch_audio", found=best.name, back=best.back.value, note=best.note)
            if core:
                if len(self._modules) >= MODULES_MAX:
                    self._modules.clear()
                self._modules[core] = best
        self.found = best
        return best

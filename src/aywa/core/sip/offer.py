"""Offer and answer of one call's audio (RFC 3264): what is agreed, and what it means for the stream.

It knows one audio stream; every other media line is mirrored with the port 0. It refuses to know how the descriptions
travel: INVITE, PRACK, UPDATE and ACK are the session's business.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from aywa.core.rtp.plan import COMFORT_NOISE_TYPE, Address, Codec, StreamPlan
from aywa.core.rtp.srtp_keys import SrtpKeys, SrtpSuite, new_keys
from aywa.core.sip import sdp
from aywa.core.sip.sdp import Crypto, Direction, Format, MalformedSdp, Media, MediaLine

TELEPHONE_EVENT = "telephone-event"
COMFORT_NOISE = "CN"
# The sixteen digits (RFC 4733 3.2); flash and the rest mean nothing here.
EVENTS = "0-15"
PTIMES_MS = (10, 20, 30, 40, 60)
PTIME_MS = 20
# The first choice where the far side has not chosen: 101 is what most equipment takes for granted.
USUAL_TYPES = {("OPUS", 48_000): 96, ("TELEPHONE-EVENT", 8000): 101, ("TELEPHONE-EVENT", 48_000): 102}
DYNAMIC_TYPES = range(96, 128)
PLAIN = ("RTP/AVP", "RTP/AVPF")
SECURED = ("RTP/SAVP", "RTP/SAVPF")
# RFC 4568 6.3.7: what is only declared by the sender of the line asks nothing of the receiver.
HARMLESS_PARAMETER = "WSH="
SESSION_ID_BYTES = 7
_CODECS = {codec.upper(): codec for codec in Codec}


class NotAcceptable(ValueError):
    """No common media; the message says what was missing. Answered by 488."""


class Srtp(StrEnum):
    """NEVER: plain RTP only. OPTIONAL: offered plain, answered as the offer has it. REQUIRED: refused without keys."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """What this side can do on one leg, and where it awaits media. codecs: the best first. rtcp_port: None means port + 1.
    comfort_noise: whether the far side may fall silent and say so (RFC 3389)."""

    address: str
    port: int
    rtcp_port: int | None = None
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722", "opus")
    dtmf: bool = True
    ptime_ms: int = PTIME_MS
    srtp: str = Srtp.OPTIONAL
    rtcp_mux: bool = True
    comfort_noise: bool = False
    suites: tuple[str, ...] = (SrtpSuite.AES_CM_128_HMAC_SHA1_80, SrtpSuite.AES_CM_128_HMAC_SHA1_32)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> LocalMedia:
        """What dataclasses.asdict gave, after any way of storing it."""
        return LocalMedia(**{**values, "codecs": tuple(values["codecs"]), "suites": tuple(values["suites"])})


@dataclass(frozen=True, slots=True)
class _Agreed:
    """What both sides said of the audio: the meaning follows from both. ours, theirs: the formats as each wrote them."""

    ours: tuple[Format, ...]
    theirs: Media
    direction: Direction
    send_keys: SrtpKeys | None = None
    receive_keys: SrtpKeys | None = None


class Negotiation:
    """The offers and answers of one call. token(count): bytes that nobody can guess."""

    def __init__(self, local: LocalMedia, token: Callable[[int], bytes]) -> None:
        self.local = local
        self.held = False
        self.plan: StreamPlan | None = None
        self._token = token
        # RFC 8866 5.2: numbers that will do as NTP timestamps; 56 bits fit everywhere.
        self._session_id = int.from_bytes(token(SESSION_ID_BYTES), "big")
        self._version = self._session_id
        self._said = b""
        # Of the far side's or our first offer: which line is the audio, and what the others look like when refused.
        self._others: dict[int, MediaLine] = {}
        self._audio = 0
        self._types: dict[tuple[str, int], int] = {}
        self._keys: dict[SrtpSuite, SrtpKeys] = {}
        self._pending: tuple[Format, ...] | None = None
        self._pending_direction = Direction.SENDRECV
        self._protocol = ""

    @property
    def pending(self) -> bool:
        """Whether an offer of ours waits for its answer."""
        return self._pending is not None

    @property
    def wanted(self) -> Direction:
        """What this side would like: while it holds the call it sends music and does not listen (RFC 3264 8.4)."""
        return Direction.SENDONLY if self.held else Direction.SENDRECV

    # --- offering ----------------------------------------------------------------------------------------------------

    def offer(self) -> bytes:
        """Our offer; asked again before an answer came, the same one."""
        if self._pending is not None:
            return self._said
        secured = self.local.srtp == Srtp.REQUIRED or (self.plan is not None and self.plan.secured)
        formats = tuple(self._formats())
        cryptos = tuple(self._cryptos()) if secured else ()
        # RFC 3264 8.3: a line that carries SRTP once stays what it was called.
        protocol = self._protocol or (SECURED if secured else PLAIN)[0]
        self._pending, self._pending_direction = formats, self.wanted
        return self._say(self._line(formats, protocol, self.wanted, cryptos))

    def accept(self, answer: bytes) -> None:
        """The far side's answer to our offer; raises NotAcceptable, and the offer is gone."""
        try:
            self.preview(answer)
        finally:
            self._pending = None

    def preview(self, answer: bytes) -> None:
        """An answer that comes again in the end, perhaps from another (RFC 3261 13.2.1): the offer still waits."""
        if self._pending is None:
            raise NotAcceptable("an answer without an offer")
        formats, direction = self._pending, self._pending_direction
        description = _read(answer)
        if len(description.media) <= self._audio:
            raise NotAcceptable("the answer has fewer media lines than the offer")
        media = description.media[self._audio]
        if media.kind != "audio" or media.port == 0:
            raise NotAcceptable("the audio was refused")
        send_keys, receive_keys = self._keys_answered(media)
        self._agree(_Agreed(formats, media, direction, send_keys, receive_keys))
        self._protocol = media.protocol if media.protocol in PLAIN + SECURED else self._protocol

    def rollback(self) -> None:
        """No answer comes any more: what was agreed before stands."""
        self._pending = None

    # --- answering ---------------------------------------------------------------------------------------------------

    def answer(self, offer: bytes) -> bytes:
        """Our answer to the far side's offer; raises NotAcceptable, and what was agreed before stands."""
        description = _read(offer)
        why = "no audio was offered"
        for index, media in enumerate(description.media):
            if media.kind != "audio" or media.port == 0:
                continue
            try:
                return self._answer(index, media, description.media)
            except NotAcceptable as refusal:
                why = str(refusal)
        raise NotAcceptable(why)

    def _answer(self, index: int, media: Media, lines: tuple[Media, ...]) -> bytes:
        crypto = self._crypto_chosen(media)
        chosen = tuple(self._chosen(media))
        keys = self._key(crypto.keys.suite) if crypto else None
        agreed = _Agreed(chosen, media, self.wanted, keys, crypto.keys if crypto else None)
        self._agree(agreed)
        self._audio = index
        self._others = {at: other.refused for at, other in enumerate(lines) if at != index}
        self._protocol = media.protocol
        for each in media.codecs:
            # RFC 3264 8.3.2: what a payload type meant once it means for good.
            if len(self._types) < sdp.FORMAT_LIMIT:
                self._types.setdefault(_key_of(each), each.payload_type)
        cryptos = (Crypto(crypto.tag, keys),) if crypto and keys else ()
        return self._say(
            self._line(chosen, media.protocol, _common(self.wanted, media), cryptos, media.rtcp_mux)
        )

    def _chosen(self, media: Media) -> Iterator[Format]:
        """The first codec of the offer that we know (RFC 3264 6.1), and its telephone events."""
        codecs = {name.upper() for name in self.local.codecs}
        audio = next((each for each in media.codecs if _codec(each) and each.name.upper() in codecs), None)
        if audio is None:
            raise NotAcceptable("no common codec")
        if not sdp.is_address(media.address):
            raise NotAcceptable("no address of the media")
        yield audio
        if self.local.dtmf:
            events = _events(media.codecs, audio.clock_hz)
            if events is not None:
                yield events
        if self.local.comfort_noise and audio.clock_hz == 8000:
            yield from (
                each for each in media.codecs if each.name.upper() == COMFORT_NOISE and each.clock_hz == 8000
            )

    # --- SRTP --------------------------------------------------------------------------------------------------------

    def _crypto_chosen(self, media: Media) -> Crypto | None:
        """The first line of the offer that can be used (RFC 4568 5.1.2)."""
        if media.protocol not in PLAIN + SECURED:
            raise NotAcceptable("unknown media protocol")
        usable = [each for each in media.crypto if self._usable(each)]
        if self.local.srtp != Srtp.NEVER and usable:
            return usable[0]
        if media.protocol in SECURED:
            raise NotAcceptable("no common crypto suite")
        if self.local.srtp == Srtp.REQUIRED:
            raise NotAcceptable("SRTP is required")
        return None

    def _usable(self, crypto: Crypto) -> bool:
        # RFC 4568 6.3: what is not known and has no minus makes the line unusable.
        asks = [each for each in crypto.parameters if not each.startswith(("-", HARMLESS_PARAMETER))]
        return crypto.keys.suite in self.local.suites and not asks

    def _keys_answered(self, media: Media) -> tuple[SrtpKeys | None, SrtpKeys | None]:
        offered = list(self.local.suites) if self._said.find(b"a=crypto:") >= 0 else []
        for crypto in media.crypto:
            # RFC 4568 5.1.3: the answer names the tag of the line it took.
            if (
                1 <= crypto.tag <= len(offered)
                and crypto.keys.suite == offered[crypto.tag - 1]
                and self._usable(crypto)
            ):
                return self._key(crypto.keys.suite), crypto.keys
        if offered or media.protocol in SECURED:
            raise NotAcceptable("no key in the answer")
        return None, None

    def _cryptos(self) -> Iterator[Crypto]:
        for tag, suite in enumerate(self.local.suites, 1):
            yield Crypto(tag, self._key(SrtpSuite(suite)))

    def _key(self, suite: SrtpSuite) -> SrtpKeys:
        # One key for the whole call: its packets go on counting through every re-INVITE.
        if suite not in self._keys:
            self._keys[suite] = new_keys(suite, self._token)
        return self._keys[suite]

    # --- what we say -------------------------------------------------------------------------------------------------

    def _formats(self) -> Iterator[Format]:
        """All we can do, by payload types that never change their meaning within the call (RFC 3264 8.3.2)."""
        clocks = []
        for name in self.local.codecs:
            codec = _CODECS[name.upper()]
            type_ = codec.static_type if codec.static_type is not None else self._type(codec, codec.clock_hz)
            parameters = "useinbandfec=1" if codec is Codec.OPUS else ""
            yield Format(type_, codec.value, codec.clock_hz, codec.channels, parameters)
            clocks.append(codec.clock_hz)
        if self.local.comfort_noise:
            yield Format(COMFORT_NOISE_TYPE, COMFORT_NOISE, 8000)
        if self.local.dtmf:
            # RFC 4733 2.1: the events of a stream run on its clock.
            for clock_hz in dict.fromkeys(clocks):
                yield Format(self._type(TELEPHONE_EVENT, clock_hz), TELEPHONE_EVENT, clock_hz, 1, EVENTS)

    def _type(self, name: str, clock_hz: int) -> int:
        key = (name.upper(), clock_hz)
        if key not in self._types:
            taken = set(self._types.values())
            usual = USUAL_TYPES[key]
            self._types[key] = next((each for each in (usual, *DYNAMIC_TYPES) if each not in taken), usual)
        return self._types[key]

    def _line(
        self,
        formats: tuple[Format, ...],
        protocol: str,
        direction: Direction,
        cryptos: tuple[Crypto, ...],
        may_mux: bool = True,
    ) -> MediaLine:
        attributes = [f"rtpmap:{each.rtpmap}" for each in formats]
        for each in formats:
            parameters = EVENTS if each.name.lower() == TELEPHONE_EVENT else each.parameters
            if parameters:
                attributes.append(f"fmtp:{each.payload_type} {parameters}")
        attributes += [f"crypto:{each.text}" for each in cryptos]
        attributes.append(f"ptime:{self.local.ptime_ms}")
        if self.local.rtcp_port is not None and self.local.rtcp_port != self.local.port + 1:
            attributes.append(f"rtcp:{self.local.rtcp_port}")
        if self.local.rtcp_mux and may_mux:
            attributes.append("rtcp-mux")
        attributes.append(direction.value)
        types = tuple(str(each.payload_type) for each in formats)
        return MediaLine("audio", self.local.port, protocol, types, tuple(attributes))

    def _say(self, audio: MediaLine) -> bytes:
        """RFC 3264 8: the version grows by one when, and only when, something else differs; lines never go away."""
        count = max([self._audio, *self._others]) + 1
        lines = tuple(audio if at == self._audio else self._others[at] for at in range(count))
        said = self._encode(lines)
        if self._said and said != self._said:
            self._version += 1
            said = self._encode(lines)
        self._said = said
        return said

    def _encode(self, lines: tuple[MediaLine, ...]) -> bytes:
        origin = sdp.Origin("-", self._session_id, self._version, self.local.address)
        return sdp.encode(origin, self.local.address, lines)

    # --- what it means -----------------------------------------------------------------------------------------------

    def _agree(self, agreed: _Agreed) -> None:
        theirs = agreed.theirs
        ours = {_key_of(each): each for each in agreed.ours}
        common = tuple(each for each in theirs.codecs if _key_of(each) in ours)
        audio = [each for each in common if _codec(each)]
        codec = _codec(audio[0]) if audio else None
        if codec is None:
            raise NotAcceptable("no common codec")
        if not sdp.is_address(theirs.address):
            raise NotAcceptable("no address of the media")
        events = _events(common, codec.clock_hz)
        noise = next((each for each in common if each.name.upper() == COMFORT_NOISE), None)
        flow = _common(agreed.direction, theirs)
        # The far side may change among the codecs of its description at any packet (RFC 3264 7).
        received = {ours[_key_of(each)].payload_type: _codec(each) for each in audio}
        mux = self.local.rtcp_mux and theirs.rtcp_mux
        self.plan = StreamPlan(
            codec=codec,
            payload_type=audio[0].payload_type,
            receive_types={number: known for number, known in received.items() if known},
            ptime_ms=_ptime_ms(theirs),
            remote=Address(theirs.address, theirs.port),
            rtcp=_rtcp(theirs, mux=mux),
            rtcp_mux=mux,
            sends=flow.sends,
            receives=flow.receives,
            on_hold=not _remote(theirs).receives,
            dtmf_type=events.payload_type if events else None,
            dtmf_receive_type=ours[_key_of(events)].payload_type if events else None,
            dtmf_clock_hz=events.clock_hz if events else 8000,
            comfort_noise_type=noise.payload_type if noise else None,
            send_keys=agreed.send_keys,
            receive_keys=agreed.receive_keys,
        )

    # --- in another process ------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values; with the SRTP keys. An offer that waits for its answer is not in it."""
        return {
            "local": asdict(self.local),
            "held": self.held,
            "plan": self.plan.to_dict() if self.plan else None,
            "session_id": self._session_id,
            "version": self._version,
            "said": self._said.decode("utf-8"),
            "others": {
                str(at): [line.kind, line.protocol, list(line.formats)] for at, line in self._others.items()
            },
            "audio": self._audio,
            "types": [[name, clock_hz, number] for (name, clock_hz), number in self._types.items()],
            "keys": {
                suite.value: b64encode(keys.master).decode("ascii") for suite, keys in self._keys.items()
            },
            "protocol": self._protocol,
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any], token: Callable[[int], bytes]) -> Negotiation:
        """What to_dict gave."""
        made = Negotiation(LocalMedia.from_dict(values["local"]), token)
        made.held = values["held"]
        made.plan = StreamPlan.from_dict(values["plan"]) if values["plan"] else None
        made._session_id, made._version = values["session_id"], values["version"]
        made._said = values["said"].encode("utf-8")
        made._others = {
            int(at): MediaLine(kind, 0, protocol, tuple(formats))
            for at, (kind, protocol, formats) in values["others"].items()
        }
        made._audio = values["audio"]
        made._types = {(name, clock_hz): number for name, clock_hz, number in values["types"]}
        suites = [(SrtpSuite(name), b64decode(key)) for name, key in values["keys"].items()]
        made._keys = {suite: SrtpKeys(suite, key) for suite, key in suites}
        made._protocol = values["protocol"]
        return made


def _read(data: bytes) -> sdp.Description:
    try:
        return sdp.parse(data)
    except MalformedSdp as error:
        raise NotAcceptable(str(error)) from None


def _key_of(format_: Format) -> tuple[str, int]:
    return format_.name.upper(), format_.clock_hz


def _codec(format_: Format) -> Codec | None:
    """The codec behind a format, if it is one of ours."""
    codec = _CODECS.get(format_.name.upper())
    return codec if codec and codec.clock_hz == format_.clock_hz else None


def _events(formats: tuple[Format, ...], clock_hz: int) -> Format | None:
    """Telephone events, on the stream's own clock if there are such, on 8 kHz else."""
    found = {each.clock_hz: each for each in reversed(formats) if each.name.lower() == TELEPHONE_EVENT}
    return found.get(clock_hz) or found.get(8000)


def _remote(media: Media) -> Direction:
    """The far side's direction; the address of nowhere is how RFC 2543 put a call on hold (RFC 3264 8.4)."""
    nowhere = media.address in ("0.0.0.0", "::")  # noqa: S104
    return sdp.direction(sends=media.direction.sends, receives=media.direction.receives and not nowhere)


def _common(wanted: Direction, media: Media) -> Direction:
    """What we do of what we want, as the far side does its part (RFC 3264 6.1)."""
    remote = _remote(media)
    return sdp.direction(sends=wanted.sends and remote.receives, receives=wanted.receives and remote.sends)


def _rtcp(media: Media, *, mux: bool) -> Address | None:
    if mux:
        return Address(media.address, media.port)
    port, address = media.rtcp or (media.port + 1, "")
    if not 0 < port <= 65_535:
        return None
    return Address(address if sdp.is_address(address) else media.address, port)


def _ptime_ms(media: Media) -> int:
    """What the far side would like to get, if that is usual; a packet's length is the sender's choice in the end."""
    wanted = media.ptime_ms if media.ptime_ms in PTIMES_MS else PTIME_MS
    if media.maxptime_ms is None:
        return wanted
    return max((each for each in PTIMES_MS if each <= min(wanted, media.maxptime_ms)), default=PTIMES_MS[0])

"""Audio codecs for RTP. G.711 is always there; G.722 and Opus where their libraries are."""

from __future__ import annotations

from collections.abc import Callable

from aywa.adapters.codecs.g711 import PcmaCoding, PcmuCoding
from aywa.adapters.codecs.g722 import G722Coding
from aywa.adapters.codecs.opus import OpusCoding
from aywa.core.rtp.plan import Codec
from aywa.ports.codec import CodecUnavailable, Coding

_MAKERS: dict[Codec, Callable[[], Coding]] = {
    Codec.PCMU: PcmuCoding,
    Codec.PCMA: PcmaCoding,
    Codec.G722: G722Coding,
    Codec.OPUS: OpusCoding,
}


def make_coding(codec: Codec) -> Coding:
    """ports.codec.CodingMaker."""
    return _MAKERS[codec]()


def available_codecs() -> dict[Codec, str]:
    """Why each codec cannot be used; empty where it can. For what is offered, and for what a check tells."""
    found = {}
    for codec in Codec:
        try:
            make_coding(codec)
            found[codec] = ""
        except CodecUnavailable as error:
            found[codec] = str(error)
    return found

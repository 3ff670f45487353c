"""Every limit and pace of RTP legs, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RtpSettings:
    """Times in seconds.

    first_port, last_port: the range for all legs of the process; a leg takes an even one and, for reports, the next.
    public_host: what the far side is told to send to, where that is not the address that is bound.
    tos: the differentiated services byte of what is sent: expedited forwarding (RFC 3246).
    lead_s: how far ahead of its beat a frame may leave: a slot of the wheel, so that it is never after it.
    poll_s: how often the sockets are read. Up to few_most of them every poll_few_s: waking up is the most of it, and what came
    meanwhile is quickly taken; many are read more often, so that frames that are due need not wait behind them. Up to
    eager_most, at once.
    drain_s: how long a leg's ports stay open after it, to swallow what is still under way. rest_s: how long they are not
    used again after that.
    first_packet_s, next_packet_s: no packet for so long is a lost leg.
    latch_s: how long the far side's source must be silent before an equal one may take its place.
    least_window, most_window: packets that wait for one that is missing; it grows where the network reorders more and
    shrinks after calm_s without. held_s: for how long they wait at most.
    most_concealed: lost packets in a row that are replaced.
    reports_s: between reports, on average (RFC 3550 6.2).
    key_s, key_gap_s: a key that is sent, and the silence after it. most_keys: that wait to be sent.
    """

    first_port: int = 10_000
    last_port: int = 10_999
    public_host: str = ""
    tos: int = 0xB8
    lead_s: float = 0.005
    poll_s: float = 0.0025
    poll_few_s: float = 0.005
    few_most: int = 80
    eager_most: int = 32
    drain_s: float = 1.0
    rest_s: float = 5.0
    first_packet_s: float = 30.0
    next_packet_s: float = 20.0
    latch_s: float = 1.0
    least_window: int = 1
    most_window: int = 4
    held_s: float = 0.08
    calm_s: float = 10.0
    most_concealed: int = 5
    reports_s: float = 5.0
    key_s: float = 0.1
    key_gap_s: float = 0.1
    most_keys: int = 128

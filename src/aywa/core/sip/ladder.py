"""A call's SIP messages as a ladder: what went which way, a line each, without bodies and without anybody's password.

Messages come before their call is known, so those of a dialog that begins wait for it, some of them and for some dialogs only.
Refuses to judge a message: what cannot be read at a glance is not there.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass

# Of a message that is looked at; the fields that matter come first in all that are usual.
HEAD_MOST = 4_096
# Dialogs that begin and have no call yet, messages of one, and messages of a call that are told.
DIALOGS_MOST, WAITING_MOST, TOLD_MOST = 512, 32, 400
_TEXT_MOST = 80

_REQUEST = re.compile(rb"([A-Z]{2,16}) \S+ SIP/2\.0\r?\n")
_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9])(?: ([^\r\n]*))?\r?\n")
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*(\S{1,256})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(
    rb"^cseq[ \t]*:[ \t]*([0-9]{1,10})[ \t]+([A-Z]{2,16})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_BEGINS = "INVITE"


@dataclass(frozen=True, slots=True)
class Rung:
    """One message. what: its method, or its status and phrase. method, number: its CSeq. at_s: loop time."""

    at_s: float
    direction: str
    what: str
    method: str
    number: int
    remote: str
    transport: str


def read_rung(
    data: bytes, direction: str, remote: str, transport: str, at_s: float
) -> tuple[str, Rung] | None:
    """The message's Call-ID and its rung; None: it is none that can be read at a glance."""
    head = data[:HEAD_MOST]
    request, status = _REQUEST.match(head), _STATUS.match(head)
    call_id, cseq = _CALL_ID.search(head), _CSEQ.search(head)
    if call_id is None or cseq is None or (request is None and status is None):
        return None
    if request is not None:
        what = _text(request[1])
    else:
        assert status is not None
        what = " ".join(filter(None, (_text(status[1]), _text(status[2] or b""))))
    rung = Rung(at_s, direction, what, _text(cseq[2]), int(cseq[1]), remote, transport)
    return _text(call_id[1], 256), rung


def _text(raw: bytes, most: int = _TEXT_MOST) -> str:
    text = raw.decode("utf-8", "replace")[:most]
    return "".join(each if each.isprintable() else "?" for each in text)


class Ladders:
    """`seen` every message; `belongs` tells whose a dialog is; `over` that the call is."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Rung]] = OrderedDict()
        self._calls: dict[str, str] = {}
        self._told: dict[str, int] = {}

    def seen(self, dialog: str, rung: Rung) -> str | None:
        """The call whose record it belongs on; None: none yet, or it has enough of them."""
        call_id = self._calls.get(dialog)
        if call_id is not None:
            return call_id if self._counts(call_id) else None
        waiting = self._waiting.get(dialog)
        if waiting is None:
            if rung.method != _BEGINS or rung.what != _BEGINS:
                return None
            waiting = self._waiting[dialog] = deque(maxlen=WAITING_MOST)
            if len(self._waiting) > DIALOGS_MOST:
                self._waiting.popitem(last=False)
        waiting.append(rung)
        return None

    def belongs(self, dialog: str, call_id: str) -> list[Rung]:
        """The dialog is the call's; answers what came of it so far."""
        self._calls[dialog] = call_id
        return [rung for rung in self._waiting.pop(dialog, ()) if self._counts(call_id)]

    def over(self, call_id: str) -> None:
        """Nothing of the call is told any more."""
        self._told.pop(call_id, None)
        for dialog in [dialog for dialog, own in self._calls.items() if own == call_id]:
            del self._calls[dialog]

    def _counts(self, call_id: str) -> bool:
        count = self._told[call_id] = self._told.get(call_id, 0) + 1
        return count <= TOLD_MOST

"""The calls of one agent: which one a message belongs to, and which of them is due next. It knows no message's meaning."""

from __future__ import annotations

from heapq import heappop, heappush

from aywa.core.sip.message import Request
from aywa.core.sip.refer import Replaces, read_replaces
from aywa.core.sip.session import Session


class Calls:
    """Sessions by their key, by their dialog, and by the INVITE that began them. What may have changed one is told by
    `touch`; `settle` notes its next deadline, or forgets it."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._by_place: dict[tuple[str, str], str] = {}
        self._by_invite: dict[str, str] = {}
        self._touched: set[str] = set()
        self._due: list[tuple[float, int, str]] = []
        self._noted: dict[str, float] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def up(self) -> tuple[str, ...]:
        """The keys of those that are not over."""
        return tuple(key for key, session in self._sessions.items() if not session.line.ended)

    def add(self, session: Session, invite: str = "") -> None:
        """A new one; invite: the key of its server transaction."""
        key = session.line.key
        self._sessions[key] = session
        self._by_place[session.place] = key
        if invite:
            self._by_invite[invite] = key
        self._touched.add(key)

    def touch(self, key: str) -> None:
        """Something may have changed its deadline."""
        self._touched.add(key)

    def get(self, key: str) -> Session | None:
        """By its key; touched."""
        session = self._sessions.get(key)
        if session is not None:
            self._touched.add(key)
        return session

    def of_request(self, request: Request) -> Session | None:
        """Whose dialog the request names."""
        return self.get(self._by_place.get((request.call_id, request.to_address.tag or ""), ""))

    def of_invite(self, invite: str) -> Session | None:
        """By the key of the server transaction that began it."""
        return self.get(self._by_invite.get(invite, ""))

    def invite_over(self, invite: str) -> None:
        """That transaction is forgotten."""
        self._by_invite.pop(invite, None)

    # --- Replaces ------------------------------------------------------------------------------------------------------

    def find(self, replaces: Replaces) -> str:
        """The call that a Replaces means, or empty."""
        key = self._by_place.get((replaces.call_id, replaces.to_tag), "")
        session = self._sessions.get(key)
        dialog = session.line.dialog if session is not None else None
        return key if dialog is not None and dialog.remote_tag == replaces.from_tag else ""

    def replaced(self, invite: Request) -> tuple[int, str]:
        """The status to refuse the INVITE with, or 0, and the call that it takes the place of (RFC 3891 3)."""
        values = invite.headers.get_all("replaces")
        if not values:
            return 0, ""
        replaces = read_replaces(values[0]) if len(values) == 1 else None
        if replaces is None:
            return 400, ""
        key = self.find(replaces)
        session = self._sessions.get(key)
        if session is None:
            return 481, ""
        if session.line.ended:
            return 603, ""
        if not session.line.answered:
            # A call that somebody else began, and we have not answered, is not to be taken over.
            return (0, key) if session.owns else (481, "")
        return (486, "") if replaces.early_only else (0, key)

    # --- time ----------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When one of them wants to be woken."""
        while self._due and self._noted.get(self._due[0][2]) != self._due[0][0]:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def wake(self, now: float) -> None:
        """Wakes those that are due."""
        while (due := self.deadline) is not None and due <= now:
            _, _, key = heappop(self._due)
            del self._noted[key]
            self._touched.add(key)
            self._sessions[key].wake()

    def settle(self) -> None:
        """After everything that may have changed one."""
        for key in self._touched:
            session = self._sessions.get(key)
            if session is not None:
                self._note(key, session)
        self._touched.clear()

    def _note(self, key: str, session: Session) -> None:
        session.note_end()
        if session.forgotten:
            del self._sessions[key]
            del self._by_place[session.place]
            self._noted.pop(key, None)
            return
        deadline = session.deadline
        if deadline is None:
            self._noted.pop(key, None)
        elif deadline != self._noted.get(key):
            self._noted[key] = deadline
            self._count += 1
            heappush(self._due, (deadline, self._count, key))

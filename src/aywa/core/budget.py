"""A call's budget: counts what the call costs while it runs, and says when it has cost too much. Refuses to end anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.cost import LLM, TTS, Price, Prices, characters_of, meter_of


class Budget:
    """`happened` and `commanded` take what the conversation does; `spent` answers the dollars once they are too many.

    limit: dollars; None means that nothing is counted.
    """

    def __init__(
        self,
        limit: float | None = None,
        assistant: Mapping[str, Any] | None = None,
        prices: Iterable[Price] = (),
    ) -> None:
        self.limit = limit
        self._meter = meter_of(assistant or {})
        self._rows = tuple(prices)
        self._prices = Prices(self._rows)
        self._rate_hz = 0

    def adopt(
        self, limit: float | None, assistant: Mapping[str, Any], prices: Iterable[Price], now: float
    ) -> None:
        """Another assistant has the call. A limit of its own counts for the whole call; without one the last one's stays."""
        self.limit = self.limit if limit is None else limit
        self._rows = tuple(dict.fromkeys((*self._rows, *prices)))
        self._prices = Prices(self._rows)
        self._meter.changed(assistant, now)

    def happened(self, event: ev.Event, now: float) -> None:
        """An event, whether or not anything follows from it."""
        if isinstance(event, ev.LegConnected):
            # Known also where nothing is counted: an assistant who takes the call over may have a limit.
            self._rate_hz = self._rate_hz or event.rate_hz
            self._meter.connected(now)
        if self.limit is None:
            return
        match event:
            case ev.ReplyTextReceived():
                self._meter.wrote(event.reply_id, event.pieces)
            case ev.ReplyCompleted():
                counts = (event.prompt_tokens, event.cached_tokens, event.completion_tokens)
                route = self._meter.by_route(LLM, event.route)
                self._meter.answered(event.reply_id, *counts, source=route)
            case ev.ReplyFailed():
                self._meter.cut(event.reply_id)
            case ev.ClauseSynthesized():
                seconds = event.samples / self._rate_hz if self._rate_hz else 0.0
                self._meter.spoke(event.text, seconds, self._meter.by_route(TTS, event.route))
            case _:
                pass

    def commanded(self, cmds: Iterable[do.Command]) -> None:
        """What the conversation asks for."""
        if self.limit is None:
            return
        for command in cmds:
            if isinstance(command, do.StartReply):
                self._meter.asked(command.reply_id, characters_of(command.messages))
            elif isinstance(command, do.CancelReply):
                self._meter.cut(command.reply_id)

    def spent(self, now: float) -> float | None:
        """The dollars, if they are the whole budget or more."""
        if self.limit is None:
            return None
        due_s = self.due_s
        if due_s is not None and now >= due_s:
            # The moment that was asked for counts as reached, whatever the last digits say.
            return max(self._meter.dollars(self._prices, now), self.limit)
        dollars = self._meter.dollars(self._prices, now)
        return dollars if dollars >= self.limit else None

    @property
    def due_s(self) -> float | None:
        """When time alone will have spent the rest."""
        if self.limit is None or self._meter.connected_s is None:
            return None
        rate = self._meter.dollars_a_second(self._prices)
        if rate <= 0:
            return None
        began_s = self._meter.since_s
        left = self.limit - self._meter.dollars(self._prices, began_s)
        return began_s + max(left, 0.0) / rate

"""The caller of a simulated call: does what the scenario says, by what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from aywa.core import events as ev
from aywa.ports.stt import Word
from aywa.testing.labelled_media import BLOCKS, SILENT_DB, WINDOW_S, LabelledMedia, Sound
from aywa.testing.scripted_media import ScriptedMedia
from aywa.testing.simulated_stt import SimulatedStt
from aywa.testing.simulation.scenario import PATIENCE_S, Press, Say, Scenario, Send, Wait
from aywa.testing.simulation.truth import Truth, Voice, Voiced

LOOK_S = 0.1
QUIET_S = 0.7
DETECTED_AFTER_S = (0.04, 0.11)
VOICE_DB = -22.0


class SimulatedCaller:
    """`act` plays the scenario. post: takes what comes over the connection beside audio."""

    def __init__(
        self,
        scenario: Scenario,
        leg_id: str,
        media: ScriptedMedia,
        stt: SimulatedStt,
        truth: Truth,
        post: Callable[[ev.Event], None],
    ) -> None:
        self._scenario = scenario
        self._leg_id = leg_id
        self._media = media
        self._stt = stt
        self._truth = truth
        self._post = post
        self._chance: Random = scenario.chance
        self._loop = asyncio.get_running_loop()
        self._spoke_s = 0.0

    async def act(self) -> None:
        """The whole plan. At its end the caller hangs up, or waits to be hung up on."""
        leaving = self._loop.call_later(self._scenario.hangs_up_s, self._leave)
        try:
            for act in self._scenario.acts:
                match act:
                    case Say():
                        await self._await_moment(act)
                        await self._speak(act)
                    case Press():
                        await asyncio.sleep(act.after_s)
                        self._post(ev.DtmfReceived(self._leg_id, act.digit))
                    case Send():
                        await asyncio.sleep(act.after_s)
                        self._note(f"sends {dict(act.message)}")
                        self._send(act.message)
                    case Wait():
                        await asyncio.sleep(act.seconds)
            if self._scenario.leaves:
                await self._quiet(0.3)
                self._leave()
            else:
                await self._loop.create_future()
        finally:
            leaving.cancel()

    # --- when ----------------------------------------------------------------------------------------------------

    async def _await_moment(self, act: Say) -> None:
        match act.when:
            case "quiet":
                await self._quiet(act.after_s)
            case "into":
                await self._agent_speaks()
                await asyncio.sleep(act.after_s)
            case _:
                await asyncio.sleep(act.after_s)

    async def _agent_speaks(self) -> None:
        """Until it does, or for as long as one waits."""
        until_s = self._now() + PATIENCE_S
        while self._now() < until_s:
            if self._hears_agent():
                return
            await asyncio.sleep(LOOK_S)

    async def _quiet(self, after_s: float) -> None:
        """Until the agent has said something to what was said last and is silent again; or for as long as one waits."""
        until_s = self._now() + PATIENCE_S
        while self._now() < until_s:
            heard = self._truth.heard
            since_s = self._now() - (heard[-1].to_s if heard else 0.0)
            answered = bool(heard) and heard[-1].to_s > self._spoke_s
            if not self._hears_agent() and answered and since_s >= QUIET_S:
                break
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(after_s)

    def _hears_agent(self) -> bool:
        playout = self._media.legs[self._leg_id].playout
        return playout is not None and playout.since_s is not None and playout.played < playout.given

    # --- voice ---------------------------------------------------------------------------------------------------

    async def _speak(self, act: Say) -> None:
        if act.kind is Voice.NOISE:
            await self._voice(act.kind, act.noise_s, ())
            return
        run: list[str] = []
        for item in (*act.words, 0.0):
            if isinstance(item, str):
                run.append(item)
                continue
            if run:
                lengths = [0.12 + 0.045 * len(word) + self._chance.uniform(0.0, 0.1) for word in run]
                await self._voice(act.kind, sum(lengths), tuple(zip(run, lengths, strict=True)))
                run = []
            await asyncio.sleep(item)

    async def _voice(self, kind: Voice, length_s: float, words: Sequence[tuple[str, float]]) -> None:
        """Voice without a break. Its end is where it should be, also when the process stood still meanwhile."""
        if self._truth.unreachable_s <= self._now():
            await asyncio.sleep(length_s)
            return
        media, began_s = self._media, self._now()
        if isinstance(media, LabelledMedia):
            began_s = media.hear(self._leg_id, self._sound(length_s))
        else:
            media.voice_started(self._leg_id, self._chance.uniform(*DETECTED_AFTER_S))
        timed, at_s = [], began_s
        for word, word_s in words:
            timed.append(Word(word, at_s, at_s + word_s))
            at_s += word_s
        self._stt.say(timed)
        voiced = Voiced(kind, began_s, began_s + length_s, " ".join(word for word, _ in words))
        self._truth.voice.append(voiced)
        await asyncio.sleep(began_s + length_s - self._now())
        if not isinstance(media, LabelledMedia):
            voiced.to_s = max(voiced.to_s, self._now())
            media.voice_stopped(self._leg_id, self._chance.uniform(*DETECTED_AFTER_S))
        if kind is not Voice.BACKCHANNEL:
            self._spoke_s = voiced.to_s

    def _sound(self, length_s: float) -> Sound:
        windows = max(1, round(length_s / WINDOW_S))
        lost = np.array([self._chance.random() < (self._scenario.loss or 0.0) for _ in range(windows)])
        probabilities = np.where(lost, 0.0, 0.95).astype(np.float32)
        levels = np.repeat(np.where(lost, SILENT_DB, VOICE_DB)[:, None], BLOCKS, axis=1).astype(np.float32)
        return Sound(probabilities, levels)

    # --- the rest ------------------------------------------------------------------------------------------------

    def _send(self, message: Mapping[str, Any]) -> None:
        self._post(ev.ClientMessageReceived(self._leg_id, message))

    def _leave(self) -> None:
        if self._truth.left_s is None:
            self._truth.left_s = self._now()
            self._note("hangs up")
        self._media.disconnect(self._leg_id)

    def _note(self, text: str) -> None:
        self._truth.notes.append((self._now(), text))

    def _now(self) -> float:
        return self._loop.time() - self._media.legs[self._leg_id].epoch_s

"""A recorded call with other settings beside the same call with its own: what would have changed.

Both are simulated, so that what the model leaves out weighs the same on both sides; and how well the first of them gives
the recorded call again says how far the second can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aywa.journal.replay.identity import Identity
from aywa.journal.replay.material import gather
from aywa.journal.replay.outcome import Outcome, changes, outcome_of
from aywa.journal.replay.recording import Recording
from aywa.journal.replay.simulation import Simulation

# The model gives a recorded call again when no reply is further off than this.
CONTROL_MS = 25.0


@dataclass(frozen=True, slots=True)
class WhatIf:
    """reproduced: the model gives the recorded call again. error_ms: by how much it is off at most, None where a turn is
    missing. changes: turn by turn. before, after: the call in figures. estimated_from_s: from when on it is estimated."""

    reproduced: bool
    error_ms: float | None
    changes: Sequence[Mapping[str, Any]]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    estimated_from_s: float | None
    open_end: bool


def what_if(recording: Recording, identity: Identity, assistant: Mapping[str, Any]) -> WhatIf:
    """The call with this assistant. The recording must have a beginning."""
    assert recording.started is not None
    recorded = outcome_of(identity.told)
    control = simulate(recording, identity, recording.started.assistant)
    changed = simulate(recording, identity, assistant)
    before, after = outcome_of(control.told), outcome_of(changed.told)
    reproduced, error_ms = _control(recorded, before)
    return WhatIf(
        reproduced,
        error_ms,
        changes(before, after, changed.estimated_from_s),
        before.sums(),
        after.sums(),
        changed.estimated_from_s,
        changed.open_end,
    )


def simulate(recording: Recording, identity: Identity, assistant: Mapping[str, Any]) -> Simulation:
    """The call with this assistant, played to its end."""
    assert recording.started is not None
    material = gather(identity.told, recording.leg_id)
    simulation = Simulation(material, recording.started, assistant, recording.join_timeout_s)
    simulation.run()
    return simulation


def _control(recorded: Outcome, again: Outcome) -> tuple[bool, float | None]:
    found = changes(recorded, again, None)
    known = [abs(change["reply_ms"]) for change in found if change["reply_ms"] is not None]
    whole = len(recorded.turns) == len(again.turns) and len(known) == len(found)
    error_ms = max(known, default=0.0) if whole else None
    told = [what for change in found for what in change["what"] if not what.startswith("reply ")]
    return error_ms is not None and error_ms <= CONTROL_MS and not told, error_ms

"""Every metric of the runtime: its name with its unit, what it says, its labels. Names and units as Prometheus' naming practices
have them (base units; `_total` for what only grows). Refuses to hold a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """buckets: upper bounds of a histogram, without the last one, which has none."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Register(Protocol):
    """Where measurements are entered. labels: values, in the metric's order."""

    def add(self, metric: Metric, amount: float = 1.0, *labels: str) -> None:
        """To a counter."""

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Into a histogram."""


_WIRE_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_STAGE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0)
_CALL_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_PAUSE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_JITTER_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_ROUND_TRIP_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
_OPINION = (1.5, 2.0, 2.5, 3.0, 3.3, 3.6, 3.8, 4.0, 4.2, 4.4)
_TOOL_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)

# --- calls -----------------------------------------------------------------------------------------------------------

CALLS_ACTIVE: Final = Metric("aywa_calls_active", GAUGE, "Calls that are here, by their status.", ("status",))
CALLS_MAX: Final = Metric("aywa_calls_max", GAUGE, "So many calls may run at once.")
CALLS_STARTED: Final = Metric("aywa_calls_started_total", COUNTER, "Calls that have begun.")
CALLS_ENDED: Final = Metric(
    "aywa_calls_ended_total", COUNTER, "Calls that have ended, by endedReason.", ("reason",)
)
CALL_SECONDS: Final = Metric(
    "aywa_call_duration_seconds", HISTOGRAM, "From a call's first leg to its end.", (), _CALL_S
)
LEGS_ENDED: Final = Metric("aywa_legs_ended_total", COUNTER, "Legs that are gone, by cause.", ("cause",))

# --- turns -----------------------------------------------------------------------------------------------------------

TURN_WIRE_SECONDS: Final = Metric(
    "aywa_turn_wire_seconds",
    HISTOGRAM,
    "From the arrival of the caller's last voice to the departure of the first sound of the reply.",
    (),
    _WIRE_S,
)
TURN_STAGE_SECONDS: Final = Metric(
    "aywa_turn_stage_seconds",
    HISTOGRAM,
    "The same by stage: they follow one another and add up to the whole; what nobody accounts for is `unattributed`.",
    ("stage",),
    _STAGE_S,
)
ENDPOINTING_WAIT_SECONDS: Final = Metric(
    "aywa_endpointing_wait_seconds",
    HISTOGRAM,
    "How long silence was waited for before the caller's turn was taken, by what that was decided on.",
    ("reason",),
    _STAGE_S,
)
INTERRUPTIONS: Final = Metric(
    "aywa_interruptions_total", COUNTER, "Times that a caller took the floor from the agent."
)
CONTESTS: Final = Metric(
    "aywa_contests_total",
    COUNTER,
    "Voice over the agent, by who kept the floor: `yielded` to the caller, `kept` or `played_on` by the agent.",
    ("ruling",),
)
SPECULATIONS: Final = Metric(
    "aywa_speculations_total",
    COUNTER,
    "Replies begun before the turn was known to be over: `begun`, of them `used` and `discarded`.",
    ("outcome",),
)
SPECULATION_TOKENS: Final = Metric(
    "aywa_speculation_discarded_tokens_total",
    COUNTER,
    "What the model wrote for replies that were discarded.",
)
UNEXPLAINED_GAPS: Final = Metric(
    "aywa_unexplained_gaps_total", COUNTER, "Silences that nobody could give a reason for."
)
SILENCE_SECONDS: Final = Metric(
    "aywa_silence_seconds_total",
    COUNTER,
    "Silence longer than a pause in talk, by its reason.",
    ("reason",),
)
FILLERS: Final = Metric("aywa_fillers_total", COUNTER, "Phrases played because a reply was late.")
REPLIES_FAILED: Final = Metric(
    "aywa_replies_failed_total", COUNTER, "Replies that could not be made to their end.", ("step", "code")
)

# --- media -----------------------------------------------------------------------------------------------------------

RTP_PACKETS: Final = Metric(
    "aywa_rtp_packets_total",
    COUNTER,
    "Packets of phone calls: `sent`, `received`, and of those to come `lost`, `late` and `concealed`.",
    ("what",),
)
RTP_JITTER_SECONDS: Final = Metric(
    "aywa_rtp_jitter_seconds", HISTOGRAM, "Interarrival jitter, as each report has it.", (), _JITTER_S
)
RTP_ROUND_TRIP_SECONDS: Final = Metric(
    "aywa_rtp_round_trip_seconds",
    HISTOGRAM,
    "To the far side and back, as each report has it.",
    (),
    _ROUND_TRIP_S,
)
RTP_OPINION: Final = Metric(
    "aywa_rtp_mos",
    HISTOGRAM,
    "Estimated opinion score (ITU-T G.107) of each report: how we hear the far side (`in`), how it hears us (`out`).",
    ("direction",),
    _OPINION,
)
PLAYOUTS_STARVED: Final = Metric(
    "aywa_playouts_starved_total", COUNTER, "Times that a reply's audio ran dry before its end."
)
MEDIA_WARNINGS: Final = Metric(
    "aywa_media_warnings_total", COUNTER, "What was odd about a leg's media.", ("code",)
)

# --- providers and tools ---------------------------------------------------------------------------------------------

PROVIDER_REQUESTS: Final = Metric(
    "aywa_provider_requests_total",
    COUNTER,
    "Requests to providers, by what became of them: `answered`, `failed`, `given_up` (nobody wanted it any more).",
    ("kind", "provider", "outcome"),
)
PROVIDER_ERRORS: Final = Metric(
    "aywa_provider_errors_total", COUNTER, "Requests that failed, by why.", ("kind", "provider", "code")
)
PROVIDER_FIRST_SECONDS: Final = Metric(
    "aywa_provider_first_seconds",
    HISTOGRAM,
    "From a request to the first of its answer; of a recogniser, to the open stream.",
    ("kind", "provider"),
    _STAGE_S,
)
PROVIDER_SWITCHES: Final = Metric(
    "aywa_provider_fallbacks_total",
    COUNTER,
    "Times that another went on in a provider's place.",
    ("kind", "provider"),
)
PROVIDER_HEDGES: Final = Metric(
    "aywa_provider_hedges_total",
    COUNTER,
    "Requests made beside a slow one: `begun`, of them `won`.",
    ("kind", "outcome"),
)
PROVIDER_OPEN: Final = Metric(
    "aywa_provider_circuit_open", GAUGE, "1 while a route of the provider is left alone.", ("provider",)
)
TOKENS: Final = Metric(
    "aywa_llm_tokens_total", COUNTER, "As the models count them: `prompt`, `cached`, `completion`.", ("what",)
)
TOOL_RUNS: Final = Metric("aywa_tool_runs_total", COUNTER, "Tools that were run, by outcome.", ("status",))
TOOL_SECONDS: Final = Metric(
    "aywa_tool_duration_seconds", HISTOGRAM, "From a tool's start to what came of it.", (), _TOOL_S
)

# --- what is behind the calls ----------------------------------------------------------------------------------------

WEBHOOK_BACKLOG: Final = Metric(
    "aywa_webhook_backlog", GAUGE, "Deliveries that are not over, in the whole store."
)
WEBHOOK_OLDEST_SECONDS: Final = Metric(
    "aywa_webhook_oldest_seconds", GAUGE, "How long the longest due of them has been due."
)
WEBHOOK_ATTEMPTS: Final = Metric(
    "aywa_webhook_attempts_total", COUNTER, "Requests that this process carried to customers' servers."
)
WEBHOOK_DELIVERIES: Final = Metric(
    "aywa_webhook_deliveries_total", COUNTER, "Deliveries that came to their end here.", ("outcome",)
)
JOURNAL_LOST: Final = Metric(
    "aywa_journal_lost_records_total", COUNTER, "Records that the journal could not keep."
)
PROJECTION_WAITING: Final = Metric(
    "aywa_projection_waiting_batches", GAUGE, "Batches of the journal that are not in the store yet."
)
PROJECTION_LEFT_OUT: Final = Metric(
    "aywa_projection_left_out_records_total", COUNTER, "Records that could not be stored, for good."
)
LEASE: Final = Metric(
    "aywa_lease_standing",
    GAUGE,
    "Whether this node's calls are its own: 1 for how it stands. `held`: the others know that it lives.",
    ("standing",),
)
NODES_SILENT: Final = Metric(
    "aywa_node_silent_seconds",
    GAUGE,
    "How long nothing has been heard of the node that has been silent the longest.",
)
NODES_OTHER: Final = Metric("aywa_nodes_other", GAUGE, "Other nodes that share the store.")
CALLS_TAKEN: Final = Metric(
    "aywa_calls_taken_total", COUNTER, "Calls of nodes that had died, ended in the record by this one."
)
DRAINING: Final = Metric(
    "aywa_draining", GAUGE, "1 while no new calls are taken because the runtime is to end."
)
AWAY: Final = Metric(
    "aywa_dependency_away",
    GAUGE,
    "1 while something that calls do not need cannot be reached: `leases`, `artifacts`, `analytics`.",
    ("dependency",),
)
UPLOADS_WAITING: Final = Metric(
    "aywa_uploads_waiting", GAUGE, "Recordings and deletions that are on record, and not in the bucket yet."
)
UPLOADS_OLDEST_SECONDS: Final = Metric(
    "aywa_uploads_oldest_seconds", GAUGE, "How long the longest waiting of them has waited."
)
UPLOADS: Final = Metric(
    "aywa_uploads_total", COUNTER, "Of them, those that were carried out: `stored` and `removed`.", ("what",)
)
ANALYTICS_WAITING: Final = Metric(
    "aywa_analytics_waiting_calls", GAUGE, "Calls that changed since analytics were told of them."
)
ANALYTICS_OLDEST_SECONDS: Final = Metric(
    "aywa_analytics_oldest_seconds", GAUGE, "How long ago the first of them did."
)
READY: Final = Metric("aywa_ready", GAUGE, "What /readyz says of each check: 1 well, 0 not.", ("check",))

# --- the process -----------------------------------------------------------------------------------------------------

LOOP_LAG_SECONDS: Final = Metric(
    "aywa_loop_lag_seconds",
    HISTOGRAM,
    "How late the event loop came to a timer, ten times a second.",
    (),
    _LAG_S,
)
LOOP_SILENT_SECONDS: Final = Metric(
    "aywa_loop_silent_seconds",
    GAUGE,
    "How long ago the event loop last came to a timer that is due ten times a second: a loop that stands still is seen at once.",
)
GC_PAUSE_SECONDS: Final = Metric(
    "aywa_gc_pause_seconds",
    HISTOGRAM,
    "How long the garbage collector held everything up.",
    ("generation",),
    _PAUSE_S,
)
TASKS: Final = Metric("aywa_tasks", GAUGE, "Tasks of the event loop.")
DISK_FREE_BYTES: Final = Metric("aywa_disk_free_bytes", GAUGE, "Room left where the data lies.")
SERIES_REFUSED: Final = Metric(
    "aywa_series_refused_total", COUNTER, "Measurements that were counted as `other`, for a metric had too many series.",
    ("metric",),
)  # fmt: skip
TELEMETRY_DROPPED: Final = Metric(
    "aywa_telemetry_dropped_total", COUNTER, "Spans and log lines that were not exported.", ("what",)
)
BUILD: Final = Metric("aywa_build_info", GAUGE, "1; which release this is.", ("version",))
SNAPSHOT_SECONDS: Final = Metric(
    "aywa_snapshot_timestamp_seconds", GAUGE, "When these figures were taken, Unix time."
)

METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in this order."""

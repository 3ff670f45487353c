// What is on the page. Takes facts, keeps no call.

const $ = (id) => document.getElementById(id);

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export const milliseconds = (value) => (value < 9950 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);

const clockText = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// --- the call ------------------------------------------------------------------------------------------------

const STATES = {
  idle: "Ready",
  asking: "Asking for the microphone…",
  connecting: "Connecting…",
  live: "Connected",
  ending: "Hanging up…",
  ended: "Call ended",
};
const BUSY = new Set(["asking", "connecting", "live"]);

export function showState(state, detail = "") {
  document.body.dataset.state = state;
  $("state-text").textContent = detail ? `${STATES[state]}: ${detail}` : STATES[state];
  $("call-button-text").textContent = BUSY.has(state) ? "Hang up" : state === "ending" ? "Hanging up" : "Start";
  $("call-button").setAttribute("aria-disabled", String(state === "ending"));
  if (state !== "live") {
    showFloor("none");
    showLevel(0);
  }
}

export function showClock(seconds) {
  $("clock").textContent = seconds === null ? "" : clockText(seconds);
}

export function showWhere(text, assistant) {
  $("where").textContent = text;
  $("assistant-name").textContent = assistant;
  document.title = `${assistant} · Aywa Runtime`;
}

export function showFloor(holder) {
  const names = { caller: "You", assistant: $("assistant-name").textContent, none: "Nobody" };
  if (!(holder in names)) return;
  $("floor").dataset.holder = holder;
  $("floor-text").textContent = names[holder];
}

/** level: 0 to 1, of full scale. Shown over the 50 dB that speech lives in. */
export function showLevel(level) {
  const percent = level > 0 ? Math.max(0, Math.min(100, Math.round(100 + 40 * Math.log10(level)))) : 0;
  $("level-bar").style.transform = `scaleX(${percent / 100})`;
  $("level").setAttribute("aria-valuenow", String(percent));
}

export function showNumber(name, text) {
  $(`t-${name}`).textContent = text;
}

export function clearNumbers() {
  for (const node of document.querySelectorAll(".numbers dd")) node.textContent = "–";
}

// --- faults --------------------------------------------------------------------------------------------------

export function showNotice({ title, text, mend, command }) {
  const parts = [element("strong", "", title)];
  if (text) parts.push(element("p", "", text));
  if (mend) parts.push(element("p", "mend", mend));
  if (command) parts.push(element("code", "command", command));
  $("notice").replaceChildren(...parts);
  $("notice").hidden = false;
}

export function hideNotice() {
  $("notice").hidden = true;
  $("notice").replaceChildren();
}

// --- transcript ----------------------------------------------------------------------------------------------

const SPEAKERS = { user: "caller", customer: "caller", assistant: "assistant", bot: "assistant" };

export class Transcript {
  #log = $("transcript");
  #open = {}; // speaker -> the line whose last words are still a guess

  clear() {
    this.#open = {};
    this.#log.replaceChildren();
  }

  add(role, kind, text) {
    const speaker = SPEAKERS[role];
    if (!speaker) return;
    const follow = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 48;
    const line = this.#open[speaker] ?? this.#lastLine(speaker) ?? this.#newLine(speaker);
    if (kind === "final") this.#settle(speaker, line, text);
    else this.#guess(speaker, line, text);
    if (follow) this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** The runtime says so before it says what was heard, so the line is still open. */
  interrupted() {
    this.#open.assistant?.classList.add("cut");
  }

  #lastLine(speaker) {
    const last = this.#log.lastElementChild;
    return last?.classList.contains(speaker) && !last.classList.contains("cut") ? last : null;
  }

  #newLine(speaker) {
    // What the caller said before a reply is settled by now, or was no turn ("mhm"): it gets no more words.
    if (speaker === "assistant") delete this.#open.caller;
    const line = element("div", `line ${speaker}`);
    const words = element("p", "words");
    // A guess changes many times a second: it is for the eye; a screen reader is told what is settled.
    const guess = element("span", "guess");
    guess.setAttribute("aria-hidden", "true");
    words.append(element("span", "said"), guess);
    line.append(element("span", "who", speaker === "caller" ? "You" : $("assistant-name").textContent), words);
    this.#log.append(line);
    return line;
  }

  #guess(speaker, line, text) {
    this.#open[speaker] = line;
    line.querySelector(".guess").textContent = text;
  }

  #settle(speaker, line, text) {
    delete this.#open[speaker];
    line.querySelector(".guess").textContent = "";
    if (text) line.querySelector(".said").append(element("span", "", `${text} `));
    else if (!line.textContent.trim()) line.remove();
  }
}

// --- latency -------------------------------------------------------------------------------------------------

const PARTS = [
  ["endpointing", "End of turn", "waiting until it is sure that you have finished"],
  ["transcriber", "Transcriber", "speech to text"],
  ["model", "Model", "to the first words of the answer"],
  ["voice", "Voice", "text to the first sound"],
  ["unattributed", "Other", "what no part accounts for"],
];
const SHORTEST_SCALE_MS = 1000;
const STEP_MS = 500;

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

export class Waterfall {
  #turns = [];

  constructor() {
    $("legend").replaceChildren(...PARTS.map(([part, label, meaning]) => {
      const item = element("li");
      item.title = meaning;
      item.append(element("i", `swatch ${part}`), label);
      return item;
    }), element("li", "aside", `lines every ${STEP_MS} ms`));
  }

  clear() {
    this.#turns = [];
    $("turns").replaceChildren();
    $("latency-summary").textContent = "";
    $("latency-empty").hidden = false;
    $("legend").hidden = true;
  }

  add({ turn, latencyMs, parts = {} }) {
    if (!Number.isFinite(latencyMs)) return;
    const bars = PARTS.map(([part, label]) => ({ part, label, ms: Math.max(0, Number(parts[part]) || 0) }));
    const row = this.#row(turn ?? this.#turns.length + 1, latencyMs, bars);
    $("turns").append(row.node);
    this.#turns.push({ latencyMs, ...row });
    $("latency-empty").hidden = true;
    $("legend").hidden = false;
    this.#scale();
    const count = this.#turns.length;
    $("latency-summary").textContent = `median ${milliseconds(median(this.#turns.map((each) => each.latencyMs)))} over ${count} turn${count > 1 ? "s" : ""}`;
  }

  #row(turn, latencyMs, bars) {
    const node = element("li", "turn");
    const bar = element("div", "bar");
    bar.setAttribute("aria-hidden", "true");
    const segments = bars.filter(({ ms }) => ms > 0).map(({ part, label, ms }) => {
      const segment = element("i", `part ${part}`);
      segment.title = `${label}: ${milliseconds(ms)}`;
      bar.append(segment);
      return { segment, ms };
    });
    const figures = element("p", "figures");
    for (const { part, label, ms } of bars) {
      const figure = element("span", "figure");
      figure.append(element("i", `swatch ${part}`), element("span", "sr", `${label} `), String(Math.round(ms)));
      figures.append(figure, " ");
    }
    const number = element("span", "number");
    number.append(element("span", "sr", "Turn "), String(turn));
    node.append(number, bar, element("strong", "total", milliseconds(latencyMs)), figures);
    return { node, segments };
  }

  /** All turns on one scale, so that a slow one looks slow. */
  #scale() {
    const longest = Math.max(...this.#turns.map(({ latencyMs, segments }) => Math.max(latencyMs, segments.reduce((sum, { ms }) => sum + ms, 0))));
    const full = Math.max(SHORTEST_SCALE_MS, Math.ceil(longest / STEP_MS) * STEP_MS);
    $("turns").style.setProperty("--step", `${(100 * STEP_MS) / full}%`);
    for (const { segments } of this.#turns) {
      for (const { segment, ms } of segments) segment.style.width = `${(100 * ms) / full}%`;
    }
  }
}

// --- recording -----------------------------------------------------------------------------------------------

let recordingUrl = null;

export function hideRecording() {
  $("result").hidden = true;
  $("result-body").hidden = true;
  $("player").removeAttribute("src");
  $("player").load();
  if (recordingUrl) URL.revokeObjectURL(recordingUrl);
  recordingUrl = null;
}

export function awaitRecording() {
  $("result").hidden = false;
  $("result-text").textContent = "It is being finished…";
}

export function showRecording(blob, name) {
  recordingUrl = URL.createObjectURL(blob);
  $("player").src = recordingUrl;
  $("download").href = recordingUrl;
  $("download").download = name;
  const size = blob.size < 1e6 ? `${Math.ceil(blob.size / 1000)} kB` : `${(blob.size / 1e6).toFixed(1)} MB`;
  $("download").textContent = `Download the recording (${size})`;
  $("result-text").textContent = "You are on the left, the assistant on the right.";
  $("result-body").hidden = false;
}

export function noRecording(text) {
  $("result").hidden = false;
  $("result-text").textContent = text;
}

// The talk page: joins the button, the sound, the line and what is shown.

import { Sound } from "./audio.js";
import { Line, createCall, fetchConfig, fetchRecording } from "./call.js";
import * as view from "./view.js";
import { CallError, endedWords, explain } from "./words.js";

const CONFIG = new URL("./config.json", import.meta.url);
const SILENCE_CHECK_MS = 4000;
const LEVEL_FALL = 0.93; // a picture: quick to rise, slow to fall, as level meters do
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

const transcript = new view.Transcript();
const waterfall = new view.Waterfall();
let config = {};
let conversation = null;

// --- what the page knows before a call -------------------------------------------------------------------------

function fromAddress() {
  const chosen = {};
  const assistantId = new URLSearchParams(window.location.search).get("assistant");
  const publicKey = new URLSearchParams(window.location.hash.slice(1)).get("key");
  if (assistantId) Object.assign(chosen, { assistantId, assistantName: undefined });
  if (publicKey) chosen.publicKey = publicKey;
  return chosen;
}

async function loadConfig() {
  const chosen = fromAddress();
  let served = {};
  try {
    served = await fetchConfig(CONFIG);
  } catch (error) {
    if (error.code === "runtime-gone") throw error;
    if (!chosen.publicKey) throw new CallError("no-config", { status: error.detail?.status });
  }
  return { callUrl: "/call/web", ...served, ...chosen };
}

function whereText() {
  const machine = LOOPBACK.test(window.location.hostname) ? "this machine" : window.location.hostname;
  const model = config.model;
  if (model && model.local === false) return `Listening and speaking run on ${machine}; words go to ${model.name}`;
  return `Everything runs on ${machine}`;
}

function showIdentity(name) {
  view.showWhere(whereText(), name || config.assistantName || "Assistant");
}

async function prepare() {
  showIdentity();
  if (!window.isSecureContext) view.showNotice(explain(new CallError("insecure")));
  try {
    config = await loadConfig();
    showIdentity();
    if (!window.isSecureContext) view.showNotice(explain(new CallError("insecure"), config));
  } catch (error) {
    view.showNotice(explain(error));
  }
}

// --- one conversation --------------------------------------------------------------------------------------------

class Conversation {
  #stop = new AbortController();
  #started = performance.now();
  #sound = null;
  #line = null;
  #call = {};
  #ended = null; // the runtime's last status-update
  #hangingUp = false;
  #over = false;
  #floorIsTold = false;
  #loudest = 0;
  #level = 0;
  #timers = [];
  #heardSound = false;
  #thinksMuted = false;

  async start() {
    try {
      view.showState("asking");
      this.#sound = await Sound.open(this.#soundHandlers());
      this.#checkpoint();
      view.showNumber("microphone", view.milliseconds(performance.now() - this.#started));
      await this.#connect();
    } catch (error) {
      this.#over = true;
      this.#clearTimers();
      this.#line?.close();
      await this.#sound?.close();
      // Given up: the page may be in its next call already.
      if (this.#stop.signal.aborted) return;
      view.showState("idle");
      view.showNotice(explain(error, config));
    }
  }

  async #connect() {
    view.showState("connecting");
    const dialled = performance.now();
    if (!config.publicKey) config = await loadConfig();
    this.#call = await createCall(config, this.#stop.signal);
    this.#checkpoint();
    showIdentity(this.#call.assistant?.name);
    this.#line = new Line(this.#call.transport?.websocketCallUrl ?? "", this.#lineHandlers());
    await this.#line.open(this.#stop.signal);
    this.#checkpoint();
    view.showNumber("connected", view.milliseconds(performance.now() - dialled));
    view.showNumber("call", this.#call.id ?? "–");
    view.showState("live");
    this.#watch(performance.now());
  }

  #checkpoint() {
    if (this.#stop.signal.aborted) throw new CallError("given-up");
  }

  #watch(connected) {
    this.#timers.push(setInterval(() => {
      view.showClock((performance.now() - connected) / 1000);
      this.#showCounts();
    }, 250));
    this.#timers.push(setTimeout(() => {
      this.#thinksMuted = this.#loudest === 0;
      if (this.#thinksMuted) view.showNotice(explain(new CallError("silent")));
    }, SILENCE_CHECK_MS));
    const draw = () => {
      if (this.#over) return;
      view.showLevel(this.#level);
      this.#level *= LEVEL_FALL;
      requestAnimationFrame(draw);
    };
    draw();
  }

  #clearTimers() {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #showCounts() {
    const seconds = (frames) => `${(frames / 50).toFixed(1)} s`;
    view.showNumber("sent", seconds(this.#line.sent) + (this.#line.unsent ? `, ${seconds(this.#line.unsent)} lost` : ""));
    view.showNumber("received", seconds(this.#line.received));
  }

  // --- sound

  #soundHandlers() {
    return {
      frame: (pcm) => this.#line?.send(pcm),
      level: (level) => this.#levelChanged(level),
      playout: (news) => this.#playoutChanged(news),
      unplugged: () => this.#over || view.showNotice(explain(new CallError("unplugged"))),
    };
  }

  #levelChanged(level) {
    this.#level = Math.max(this.#level, level);
    this.#loudest = Math.max(this.#loudest, level);
    if (!this.#thinksMuted || level === 0) return;
    this.#thinksMuted = false;
    view.hideNotice();
  }

  #playoutChanged({ what, gaps }) {
    view.showNumber("gaps", String(gaps));
    if (what !== "started" || this.#heardSound) return;
    this.#heardSound = true;
    view.showNumber("first-sound", view.milliseconds(performance.now() - this.#started));
  }

  // --- line

  #lineHandlers() {
    return {
      audio: (pcm) => this.#sound.play(pcm),
      event: (event) => this.#on[event.type]?.(event),
      closed: (news) => this.#finish(news),
    };
  }

  #on = {
    "status-update": (event) => {
      if (event.status !== "ended") return;
      this.#ended = event;
      if (!this.#hangingUp) this.#finish({ clean: true });
    },
    "transcript": ({ role, transcriptType, transcript: text }) => transcript.add(role, transcriptType, text ?? ""),
    "speech-update": ({ status, role }) => {
      if (this.#floorIsTold) return;
      view.showFloor(status !== "started" ? "none" : role === "user" ? "caller" : "assistant");
    },
    "floor": ({ holder }) => {
      this.#floorIsTold = true;
      view.showFloor(holder);
    },
    "user-interrupted": () => {
      this.#sound.flush();
      transcript.interrupted();
    },
    "turn-latency": (event) => waterfall.add(event),
    "assistant.started": ({ newAssistant }) => newAssistant?.name && showIdentity(newAssistant.name),
    "warning": ({ code, message }) => view.showNotice(explain(new CallError("runtime-warning", { message, runtimeCode: code }))),
    "error": ({ code, message }) => view.showNotice(explain(new CallError("runtime-error", { message, runtimeCode: code }))),
  };

  // --- the end

  async hangUp() {
    if (this.#over || this.#hangingUp) return;
    this.#hangingUp = true;
    if (document.body.dataset.state !== "live") {
      this.#stop.abort();
      view.showState("idle");
      return;
    }
    view.showState("ending");
    this.#sound.flush();
    this.#sound.muteMicrophone();
    await this.#line.hangUp();
    await this.#finish({ clean: true });
  }

  async #finish({ clean, code }) {
    if (this.#over) return;
    this.#over = true;
    this.#clearTimers();
    this.#showCounts();
    const reason = this.#ended?.endedReason ?? (this.#hangingUp ? "customer-ended-call" : undefined);
    this.#tellEnd(reason, clean, code);
    await this.#sound.close();
    this.#line.close();
    await this.#offerRecording(this.#ended?.recordingUrl);
  }

  #tellEnd(reason, clean, code) {
    if (!this.#ended && !this.#hangingUp) {
      view.showState("ended");
      if (!clean) view.showNotice(explain(new CallError("lost", { code })));
      return;
    }
    const { text, fault } = endedWords(reason);
    view.showState("ended", text);
    if (fault) view.showNotice({ title: "The call ended with a fault", text: `${text} (${reason})`, mend: this.#howToSee() });
  }

  #howToSee() {
    return this.#call.id ? `Every step is on record: aywa timeline ${this.#call.id}` : "";
  }

  async #offerRecording(address) {
    if (!address) return;
    view.awaitRecording();
    try {
      const blob = await fetchRecording(address);
      if (conversation === this) view.showRecording(blob, `aywa-call-${this.#call.id}.wav`);
    } catch (error) {
      if (conversation !== this) return;
      const { title, text, mend } = explain(error);
      view.noRecording([title, text, mend].map((part) => part.replace(/\.$/, "")).join(". ") + ".");
    }
  }
}

// --- the button and the keys ---------------------------------------------------------------------------------------

const inCall = () => ["asking", "connecting", "live", "ending"].includes(document.body.dataset.state);

function begin() {
  view.hideNotice();
  view.hideRecording();
  view.clearNumbers();
  view.showClock(null);
  transcript.clear();
  waterfall.clear();
  conversation = new Conversation();
  conversation.start();
}

document.getElementById("call-button").addEventListener("click", () => (inCall() ? conversation.hangUp() : begin()));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && inCall()) conversation.hangUp();
});

waterfall.clear();
view.showState("idle");
prepare();

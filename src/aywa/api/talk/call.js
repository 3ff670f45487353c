// One call on the wire: an HTTP request that makes it, a WebSocket that carries it.

import { CallError } from "./words.js";

const UNSENT_LIMIT = 32000; // bytes: one second of sound that the network has not taken
const END_WAIT_MS = 2000;
const RECORDING_WAIT_MS = 10000;
const RECORDING_RETRY_MS = 400;
const NOT_FINISHED = new Set([202, 404, 409, 425, 429, 500, 502, 503, 504]);
const LOOPBACK = /^(localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/;

/**
 * The address by which this page reaches the runtime. The runtime names itself as it sees itself; through `ssh -L` or
 * from another machine that loopback name would mean the wrong computer.
 */
export function reachable(address, page = window.location) {
  const url = new URL(address, page.href);
  if (LOOPBACK.test(url.hostname) && url.hostname !== page.hostname) url.hostname = page.hostname;
  if (page.protocol === "https:" && !LOOPBACK.test(url.hostname)) {
    if (url.protocol === "ws:") url.protocol = "wss:";
    if (url.protocol === "http:") url.protocol = "https:";
  }
  return url;
}

async function answer(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 200) };
  }
}

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError("runtime-gone");
  }
  const body = await answer(response);
  if (response.ok) return body;
  const message = Array.isArray(body.message) ? body.message.join("; ") : body.message;
  throw new CallError("refused", { status: response.status, message });
}

export function fetchConfig(url) {
  return request(url, {});
}

/** Asks the runtime for a call; answers its document (contract 6.2). */
export function createCall({ callUrl, publicKey, assistantId }, signal) {
  return request(reachable(callUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${publicKey}`, "content-type": "application/json" },
    body: JSON.stringify(assistantId ? { assistantId } : {}),
    signal,
  });
}

export class Line {
  #socket;
  #handlers;
  #ended;
  #finished;
  sent = 0;
  received = 0;
  unsent = 0;

  /** handlers: audio(ArrayBuffer), event(object), closed({clean, code, reason}). */
  constructor(url, handlers) {
    this.url = reachable(url);
    this.#handlers = handlers;
    this.#finished = new Promise((resolve) => {
      this.#ended = resolve;
    });
  }

  open(signal) {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      const fail = () => reject(new CallError("no-line", { url: this.url }));
      socket.onopen = () => {
        socket.onclose = (event) => this.#close(event);
        resolve();
      };
      socket.onclose = fail;
      socket.onmessage = ({ data }) => this.#receive(data);
      signal.addEventListener("abort", () => {
        socket.close(1000);
        fail();
      });
    });
  }

  #receive(data) {
    if (typeof data !== "string") {
      this.received += 1;
      this.#handlers.audio(data);
      return;
    }
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return;
    }
    if (event.type === "status-update" && event.status === "ended") this.#ended();
    this.#handlers.event(event);
  }

  #close({ code, reason, wasClean }) {
    this.#ended();
    this.#handlers.closed({ clean: wasClean && code === 1000, code, reason });
  }

  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    // Sound that waits here would only come later and later; a hole is the smaller harm.
    if (this.#socket.bufferedAmount > UNSENT_LIMIT) {
      this.unsent += 1;
      return;
    }
    this.#socket.send(frame);
    this.sent += 1;
  }

  async hangUp() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ type: "end-call" }));
    await Promise.race([this.#finished, new Promise((resolve) => setTimeout(resolve, END_WAIT_MS))]);
    this.#socket.close(1000);
  }

  close() {
    this.#socket?.close(1000);
  }
}

/** Not from a bucket, which need not let pages of ours read. */
function throughUs(address) {
  const url = reachable(address);
  url.searchParams.set("redirect", "false");
  return url;
}

/** The recording is finished a moment after the call, so the first answers may be that there is none yet. */
export async function fetchRecording(address, now = () => performance.now()) {
  const deadline = now() + RECORDING_WAIT_MS;
  for (;;) {
    const response = await fetch(throughUs(address), { cache: "no-store" }).catch(() => null);
    if (response?.status === 200) {
      const blob = await response.blob();
      if (blob.size > 0) return blob;
    }
    const hopeless = response && response.status !== 200 && !NOT_FINISHED.has(response.status);
    if (hopeless || now() + RECORDING_RETRY_MS > deadline) throw new CallError("no-recording", { status: response?.status });
    await new Promise((resolve) => setTimeout(resolve, RECORDING_RETRY_MS));
  }
}

// What went wrong, and what mends it, in plain words. A text is { title, text, mend?, command? }.

export class CallError extends Error {
  constructor(code, detail = {}) {
    super(code);
    this.name = "CallError";
    this.code = code;
    this.detail = detail;
  }
}

const portOf = ({ port, protocol }) => port || (/^(https|wss):$/.test(protocol) ? "443" : "80");

function forward(...ports) {
  const unique = [...new Set(ports.filter(Boolean).map(String))];
  return `ssh ${unique.map((port) => `-L ${port}:127.0.0.1:${port}`).join(" ")} you@${window.location.hostname}`;
}

function insecure({ mediaPort }) {
  const port = portOf(window.location);
  // Unless it was told otherwise, the runtime carries the sound on the port after the page's.
  const soundPort = mediaPort ?? Number(port) + 1;
  return {
    title: "The browser gives no microphone to this address",
    text: "Browsers open the microphone only for https:// and for localhost. This page came over plain http:// from another machine.",
    mend: `Run this on your own computer, leave it open, then go to http://localhost:${port}/`,
    command: forward(port, soundPort),
  };
}

function noLine({ url }) {
  const port = portOf(url);
  const base = {
    title: "The call was made, but its sound cannot get through",
    text: `The WebSocket to ${url.host} did not open.`,
  };
  if (url.protocol === "wss:" && url.host !== window.location.host) {
    return { ...base, mend: `If the runtime's certificate is its own, open https://${url.host}/ once, accept the certificate, and start again.` };
  }
  return { ...base, mend: `If you came through ssh, forward port ${port} too:`, command: forward(portOf(window.location), port) };
}

function refused({ status, message, assistantId }) {
  if (status === 401 || status === 403) {
    return {
      title: "The runtime refused this page's key",
      text: message || "The public key is missing, wrong, or was revoked.",
      mend: "Open the address that `aywa dev` printed, with everything after the # sign.",
    };
  }
  if (status === 404 || (status === 400 && assistantId)) {
    return {
      title: "There is no such assistant",
      text: message || `The runtime knows no assistant ${assistantId ?? ""}.`,
      mend: assistantId ? "Take ?assistant=… out of the address to talk with the default one." : "Make one with POST /assistant, or restart `aywa dev`.",
    };
  }
  if (status === 429) return { title: "All lines are busy", text: message || "", mend: "Wait until a call has ended, then start again." };
  if (status === 503) return { title: "The runtime is not ready for a call", text: message || "", mend: "Its models may still be loading. Start again in a moment." };
  return { title: `The runtime could not make the call (${status})`, text: message || "", mend: "The terminal where it runs says more." };
}

const DENIED = {
  title: "The microphone is blocked for this page",
  text: "The browser was told not to give this page the microphone.",
  mend: "Allow it with the icon at the left of the address bar (or in the browser's site settings), then start again.",
};
const IN_USE = {
  title: "The microphone cannot be opened",
  text: "Another program may be using it, or the system does not let the browser have it.",
  mend: "Close the other program, check the system's privacy settings for the microphone, then start again.",
};

const fromRuntime = ({ message, runtimeCode }) => [message, runtimeCode && `(${runtimeCode})`].filter(Boolean).join(" ");

const TEXTS = {
  "insecure": insecure,
  "old-browser": () => ({
    title: "This browser cannot make calls",
    text: "It has no AudioWorklet or no access to microphones.",
    mend: "Use a current Firefox, Chrome, Edge or Safari.",
  }),
  "microphone-NotAllowedError": () => DENIED,
  "microphone-SecurityError": () => DENIED,
  "microphone-NotFoundError": () => ({
    title: "There is no microphone",
    text: "The browser found no device that records sound.",
    mend: "Plug one in, or turn it on in the system's sound settings, then start again.",
  }),
  "microphone-NotReadableError": () => IN_USE,
  "microphone-AbortError": () => IN_USE,
  "unplugged": () => ({
    title: "The microphone went away",
    text: "It was unplugged, or the permission was taken back. The runtime hears silence now.",
    mend: "Hang up, plug it in again, and start a new call.",
  }),
  "silent": () => ({
    title: "The microphone gives no sound at all",
    text: "Not even noise arrives from it, so it is probably muted.",
    mend: "Unmute it on the device or in the system's sound settings. The call goes on.",
  }),
  "runtime-gone": () => ({
    title: "The runtime does not answer",
    text: `Nothing answers at ${window.location.host}.`,
    mend: "Start it again where it ran (script/run, or aywa dev), then press Start.",
  }),
  "lost": ({ code }) => ({
    title: "The connection to the runtime was lost",
    text: `The call is over (WebSocket code ${code}).`,
    mend: "If the runtime has stopped, start it again (script/run, or aywa dev), then press Start.",
  }),
  "no-line": noLine,
  "no-config": ({ status }) => ({
    title: "The runtime gave this page no key",
    text: `It answered ${status} to /talk/config.json.`,
    mend: "Open the address that `aywa dev` printed, with everything after the # sign.",
  }),
  "refused": refused,
  "no-recording": () => ({
    title: "The recording could not be fetched",
    text: "It was not ready within ten seconds after the call.",
    mend: "It is kept by the runtime: see `aywa calls`.",
  }),
  "runtime-error": (told) => ({ title: "The runtime reports a fault", text: fromRuntime(told) }),
  "runtime-warning": (told) => ({ title: "The runtime warns", text: `${fromRuntime(told)} The call goes on.` }),
};

export function explain(error, context = {}) {
  const text = TEXTS[error.code];
  if (text) return text({ ...context, ...error.detail });
  return {
    title: "Something went wrong in this page",
    text: [error.code ?? error.name, error.detail?.message ?? error.message].filter(Boolean).join(": "),
    mend: "Reload the page and start again.",
  };
}

const ENDED = {
  "customer-ended-call": "You hung up.",
  "assistant-ended-call": "The assistant hung up.",
  "assistant-said-end-call-phrase": "The assistant said goodbye.",
  "assistant-ended-call-after-message-spoken": "The assistant said goodbye.",
  "assistant-ended-call-with-hangup-task": "The assistant hung up.",
  "assistant-forwarded-call": "The call was passed on.",
  "manually-canceled": "The call was ended from outside.",
  "silence-timed-out": "Nobody spoke for a while.",
  "exceeded-max-duration": "The call reached its longest allowed time.",
  "customer-did-not-give-microphone-permission": "There was no microphone.",
  "call.in-progress.error-assistant-did-not-receive-customer-audio": "No sound came from this page.",
  "assistant-join-timed-out": "The connection came too late.",
  "worker-shutdown": "The runtime was stopped.",
  "call-deleted": "The call was deleted.",
};
const FAULTY = /error|fault|failed|worker-died|shutdown|did-not-receive|timed-out-join|join-timed-out/;

/** Why the call ended: { text, fault } */
export function endedWords(reason) {
  if (!reason) return { text: "The call is over.", fault: false };
  const fault = FAULTY.test(reason);
  return { text: ENDED[reason] ?? (fault ? "A part of the runtime failed." : "The call is over."), fault };
}

// The browser's sound: microphone in, loudspeaker out, both as PCM16 16 kHz mono.

import { CallError } from "./words.js";

const MICROPHONE = {
  audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  video: false,
};
const WORKLETS = ["resampler.js", "capture-worklet.js", "playout-worklet.js"];
const DRAIN_MS = 1000;

async function openMicrophone() {
  if (!window.isSecureContext) throw new CallError("insecure");
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) throw new CallError("old-browser");
  try {
    return await navigator.mediaDevices.getUserMedia(MICROPHONE);
  } catch (error) {
    throw new CallError(`microphone-${error.name}`, { message: error.message });
  }
}

async function openContext() {
  const context = new AudioContext({ latencyHint: "interactive" });
  // In order: the worklets use the resampler that the first one leaves in their global scope.
  for (const file of WORKLETS) await context.audioWorklet.addModule(new URL(file, import.meta.url));
  return context;
}

export class Sound {
  #context;
  #stream;
  #capture;
  #playout;
  #playing = false;
  #onQuiet = () => {};

  /** Must be called from a key press or a click: otherwise a browser plays nothing. */
  static async open(handlers) {
    const opening = openContext();
    try {
      const stream = await openMicrophone();
      return new Sound(await opening, stream, handlers);
    } catch (error) {
      opening.then((context) => context.close(), () => {});
      throw error;
    }
  }

  /** handlers: frame(ArrayBuffer), level(0..1), playout({what, gaps}), unplugged(). */
  constructor(context, stream, handlers) {
    this.#context = context;
    this.#stream = stream;
    this.#connectMicrophone(handlers);
    this.#connectLoudspeaker(handlers);
    context.resume();
  }

  #connectMicrophone({ frame, level, unplugged }) {
    const options = { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] };
    this.#capture = new AudioWorkletNode(this.#context, "capture", options);
    this.#capture.port.onmessage = ({ data }) => {
      level(data.level);
      frame(data.pcm);
    };
    this.#context.createMediaStreamSource(this.#stream).connect(this.#capture);
    // Its output is silence; without a way to the destination some browsers would not run it.
    this.#capture.connect(this.#context.destination);
    this.#stream.getAudioTracks()[0].addEventListener("ended", unplugged);
  }

  #connectLoudspeaker({ playout }) {
    this.#playout = new AudioWorkletNode(this.#context, "playout", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#playout.port.onmessage = ({ data }) => {
      this.#playing = data.what === "started";
      if (!this.#playing) this.#onQuiet();
      playout(data);
    };
    this.#playout.connect(this.#context.destination);
  }

  play(pcm) {
    this.#playout.port.postMessage({ pcm }, [pcm]);
  }

  flush() {
    this.#playout.port.postMessage({ flush: true });
  }

  muteMicrophone() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#capture.port.onmessage = null;
  }

  /** Lets the last words that arrived be heard, then gives everything back. */
  async close() {
    this.muteMicrophone();
    if (this.#playing) {
      await new Promise((resolve) => {
        this.#onQuiet = resolve;
        setTimeout(resolve, DRAIN_MS);
      });
    }
    if (this.#context.state !== "closed") await this.#context.close();
  }
}

// PCM16, 16 kHz, mono -> the loudspeaker, through a jitter buffer. The runtime sends audio only while the agent speaks,
// so every talkspurt is buffered anew; between talkspurts nothing is owed.
/* global AudioWorkletProcessor, Resampler, currentTime, registerProcessor, sampleRate */

const RATE = 16000;
const PREBUFFER_S = 0.05;
const PREBUFFER_MAX_S = 0.17;
const PREBUFFER_STEP_S = 0.04;
const GAP_S = 0.12; // audio that comes back this soon after running dry was late, not a new talkspurt
const LIMIT_S = 20;

class Playout extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE, sampleRate);
    this.prebuffer = PREBUFFER_S;
    this.gaps = 0;
    this.dryAt = -Infinity;
    this.clear();
    this.port.onmessage = ({ data }) => {
      if (data.pcm) this.take(data.pcm);
      else if (data.flush) this.flush();
    };
  }

  clear() {
    this.chunks = [];
    this.offset = 0;
    this.queued = 0;
    this.playing = false;
    this.since = null;
    this.stopping = false;
  }

  take(pcm) {
    if (this.queued > LIMIT_S * sampleRate) return;
    if (this.queued === 0) this.beginTalkspurt();
    const samples = this.resampler.process(Float32Array.from(new Int16Array(pcm), (value) => value / 32768));
    if (samples.length === 0) return;
    this.chunks.push(samples);
    this.queued += samples.length;
    this.since ??= currentTime;
  }

  beginTalkspurt() {
    if (currentTime - this.dryAt > GAP_S) {
      this.resampler.reset();
      return;
    }
    this.gaps += 1;
    this.prebuffer = Math.min(PREBUFFER_MAX_S, this.prebuffer + PREBUFFER_STEP_S);
  }

  /** Stops with the next block: faded, because a cut in the middle of a wave is heard as a click. */
  flush() {
    if (this.playing) this.stopping = true;
    else this.clear();
  }

  process(_inputs, [[output]]) {
    if (!this.playing) this.maybeStart();
    if (this.playing) this.play(output);
    return true;
  }

  maybeStart() {
    if (this.since === null) return;
    // A talkspurt shorter than the prebuffer must be heard too, hence the clock beside the fill.
    if (this.queued < this.prebuffer * sampleRate && currentTime - this.since < this.prebuffer) return;
    this.playing = true;
    this.tell("started");
  }

  play(output) {
    const last = this.stopping || this.queued <= output.length;
    const count = Math.min(output.length, this.queued);
    for (let i = 0; i < count; i += 1) output[i] = this.next() * (last ? 1 - i / count : 1);
    if (last) this.stop();
  }

  next() {
    const sample = this.chunks[0][this.offset];
    this.offset += 1;
    this.queued -= 1;
    if (this.offset === this.chunks[0].length) {
      this.chunks.shift();
      this.offset = 0;
    }
    return sample;
  }

  stop() {
    this.dryAt = this.stopping ? -Infinity : currentTime;
    this.clear();
    this.tell("stopped");
  }

  tell(what) {
    this.port.postMessage({ what, at: currentTime, gaps: this.gaps });
  }
}

registerProcessor("playout", Playout);

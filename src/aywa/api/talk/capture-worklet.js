// Microphone -> PCM16, 16 kHz, mono, frames of 20 ms. Frames never stop: a microphone that gives nothing sends silence.
/* global AudioWorkletProcessor, Resampler, registerProcessor, sampleRate */

const RATE = 16000;
const FRAME = RATE / 50;
const SILENCE = new Float32Array(128);

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.startFrame();
  }

  startFrame() {
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }

  process([input]) {
    for (const sample of this.resampler.process(input[0] ?? SILENCE)) this.push(sample);
    return true;
  }

  push(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.energy += clipped * clipped;
    this.frame[this.filled] = Math.round(clipped * 32767);
    this.filled += 1;
    if (this.filled < FRAME) return;
    const { buffer } = this.frame;
    this.port.postMessage({ pcm: buffer, level: Math.sqrt(this.energy / FRAME) }, [buffer]);
    this.startFrame();
  }
}

registerProcessor("capture", Capture);

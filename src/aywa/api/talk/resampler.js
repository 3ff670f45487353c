// Loaded into the AudioWorklet's global scope before the worklets themselves. It is put there by name, not exported,
// because not every browser lets a worklet import a module.

const ZERO_CROSSINGS = 24;
const ROLL_OFF = 0.9; // of the lower Nyquist frequency: with the window below, images lie 80 dB down
const KAISER_BETA = 8;

const gcd = (a, b) => (b ? gcd(b, a % b) : a);

function bessel0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function lowPass(offset, cutoff, half) {
  const edge = offset / half;
  if (Math.abs(edge) >= 1) return 0;
  const x = Math.PI * cutoff * offset;
  const sinc = x === 0 ? 1 : Math.sin(x) / x;
  return cutoff * sinc * (bessel0(KAISER_BETA * Math.sqrt(1 - edge * edge)) / bessel0(KAISER_BETA));
}

/** Streaming change of sample rate by an exact ratio: one windowed-sinc kernel for each phase. */
class Resampler {
  constructor(fromRate, toRate) {
    const common = gcd(fromRate, toRate);
    this.phases = toRate / common;
    this.step = fromRate / common;
    const cutoff = ROLL_OFF * Math.min(1, toRate / fromRate);
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.kernels = Array.from({ length: this.phases }, (_, phase) => this.kernel(phase / this.phases, cutoff));
    this.reset();
  }

  kernel(fraction, cutoff) {
    const taps = new Float32Array(2 * this.half);
    for (let i = 0; i < taps.length; i += 1) taps[i] = lowPass(i - this.half + 1 - fraction, cutoff, this.half);
    const gain = taps.reduce((sum, tap) => sum + tap, 0);
    return taps.map((tap) => tap / gain);
  }

  /** Forgets what came before; the next sample is the first. */
  reset() {
    this.history = new Float32Array(2 * this.half - 1);
    this.position = 0; // of the next output sample, in input samples times `phases`, from the start of history
  }

  /** Float32Array in, Float32Array out; what cannot be computed yet comes with the next call. */
  process(input) {
    const taps = 2 * this.half;
    const samples = new Float32Array(this.history.length + input.length);
    samples.set(this.history);
    samples.set(input, this.history.length);
    const end = (samples.length - taps + 1) * this.phases;
    const output = new Float32Array(Math.max(0, Math.ceil((end - this.position) / this.step)));
    for (let n = 0; n < output.length; n += 1) {
      const kernel = this.kernels[this.position % this.phases];
      const first = Math.floor(this.position / this.phases);
      let sum = 0;
      for (let i = 0; i < taps; i += 1) sum += kernel[i] * samples[first + i];
      output[n] = sum;
      this.position += this.step;
    }
    // The next output may lie beyond what has arrived: then the whole history stays and the position says so.
    const used = Math.min(Math.floor(this.position / this.phases), samples.length);
    this.history = samples.slice(used);
    this.position -= used * this.phases;
    return output;
  }
}

globalThis.Resampler = Resampler;

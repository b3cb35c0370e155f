// log p(x_t) of the probability flow, along which density changes by the divergence alone.

import type { Denoiser } from "./denoisers";
import type { Level } from "./payload";

/**
 * In y = x/alpha and tau = log(sigma/alpha) the flow and its density are (Song et al. 2021, eq. 39)
 *
 *     (1)  dy/dtau = y - x_0(y),      d log p_y/dtau = -(d - alpha tr(d x_0/d x))
 *
 * integrated by Runge-Kutta of order 4 from the level of x to the noisiest, where x is N(0,
 * alpha² + sigma²). Each step spans two strides of `levels`, whose middle is the halfway point.
 *
 * @param levels noise falling, the level of x the last; only noisy ones with signal
 */
export function* flowLogDensity(
  denoiser: Denoiser, x: Float64Array, levels: Level[], steps: number,
): Generator<Float64Array | null> {
  const d = denoiser.dimension, n = x.length / d, last = levels.length - 1;
  let at = last, y = x.map((v) => v / levels[last].alpha);
  const change = new Float64Array(n);
  const slopes = (z: Float64Array, level: Level) => {
    const traces = new Float64Array(n);
    const x_0 = denoiser.predict(z.map((v) => level.alpha * v), level, traces);
    return { dy: z.map((v, k) => v - x_0[k]), spread: traces.map((trace) => d - level.alpha * trace) };
  };
  const stride = Math.max(1, Math.round(last / (2 * steps)));
  while (at > 0) {
    // Runge-Kutta needs the level half way; where levels are uneven, Heun's method goes one by one.
    let half = Math.min(stride, Math.floor(at / 2));
    if (half && !isHalfWay(levels[at], levels[at - half], levels[at - 2 * half])) half = 0;
    const to = at - (2 * half || 1);
    const [from, middle, end] = [levels[at], levels[half ? at - half : at], levels[to]];
    const h = tau(end) - tau(from);
    if (half) {
      const a = slopes(y, from);
      const b = slopes(add(y, h / 2, a.dy), middle);
      const c = slopes(add(y, h / 2, b.dy), middle);
      const e = slopes(add(y, h, c.dy), end);
      for (let k = 0; k < y.length; k++) {
        y[k] += (h / 6) * (a.dy[k] + 2 * b.dy[k] + 2 * c.dy[k] + e.dy[k]);
      }
      for (let k = 0; k < n; k++) {
        change[k] += (h / 6) * (a.spread[k] + 2 * b.spread[k] + 2 * c.spread[k] + e.spread[k]);
      }
    } else {
      const a = slopes(y, from), b = slopes(add(y, h, a.dy), end);
      for (let k = 0; k < y.length; k++) y[k] += (h / 2) * (a.dy[k] + b.dy[k]);
      for (let k = 0; k < n; k++) change[k] += (h / 2) * (a.spread[k] + b.spread[k]);
    }
    at = to;
    yield null;
  }
  const top = levels[0], variance = 1 + (top.sigma / top.alpha) ** 2;
  yield change.map((gained, k) => {
    let log = gained - d * Math.log(levels[last].alpha) - (d / 2) * Math.log(2 * Math.PI * variance);
    for (let i = 0; i < d; i++) log -= y[k * d + i] ** 2 / (2 * variance);
    return log;
  });
}

function tau(level: Level): number {
  return Math.log(level.sigma / level.alpha);
}

function isHalfWay(from: Level, middle: Level, to: Level): boolean {
  const h = tau(to) - tau(from);
  return Math.abs(tau(middle) - tau(from) - h / 2) < 1e-4 * Math.abs(h);
}

function add(x: Float64Array, h: number, slope: Float64Array): Float64Array {
  return x.map((v, k) => v + h * slope[k]);
}

// The samplers of sfumato.samplers, each step from level t to the less noisy s, in float64.

import type { Denoiser } from "./denoisers";
import { logRatio, type Level } from "./payload";

export interface Options {
  eta: number;
  noiseBelow: number;
  variance: "beta" | "beta_tilde";
  lastStepNoise: boolean;
}

/** The options of a method as a run's settings give them, and its own where they do not. */
export function optionsOf(method: string, given: Record<string, number | string | boolean>): Options {
  return {
    eta: Number(given.eta ?? (method === "ddim" ? 0 : 1)),
    noiseBelow: Number(given.noise_below ?? Infinity),
    variance: given.variance === "beta" ? "beta" : "beta_tilde",
    lastStepNoise: given.last_step_noise === true,
  };
}

/** Noise in the shape of the state. */
export type Noise = () => Float64Array;

type Step = (
  denoise: (x: Float64Array, level: Level) => Float64Array,
  x: Float64Array, t: Level, s: Level, noise: Noise,
) => Float64Array;

/** A method that remembers what it needs of the steps before. */
type Method = (options: Options) => Step;

/** a x + b y + c z, in a new array. */
function sum(a: number, x: Float64Array, b: number, y: Float64Array, c = 0, z?: Float64Array): Float64Array {
  const out = new Float64Array(x.length);
  for (let k = 0; k < x.length; k++) out[k] = a * x[k] + b * y[k] + (z ? c * z[k] : 0);
  return out;
}

/** sigma_{t|s}², eq. (2-1). */
function transitionVariance(t: Level, s: Level): number {
  return -(t.sigma ** 2) * Math.expm1(2 * (logRatio(t) - logRatio(s)));
}

/** The variance of q(x_s | x_t, x_0), eq. (2-17). */
function posteriorVariance(t: Level, s: Level): number {
  return transitionVariance(t, s) * (s.sigma / t.sigma) ** 2;
}

/** DDIM (Song, Meng & Ermon 2021, eq. 12): keep the predicted noise, or part of it. */
const ddim: Method = ({ eta }) => (denoise, x, t, s, noise) => {
  const x_0 = denoise(x, t), eps = sum(1 / t.sigma, x, -t.alpha / t.sigma, x_0);
  const fresh = eta ** 2 * posteriorVariance(t, s);
  const kept = Math.sqrt(Math.max(s.sigma ** 2 - fresh, 0));
  const x_s = sum(s.alpha, x_0, kept, eps);
  return fresh > 0 ? sum(1, x_s, Math.sqrt(fresh), noise()) : x_s;
};

/** DDPM's sampler (Ho et al. 2020, algorithm 2): a draw from q(x_s | x_t, x_0), eq. (2-17). */
const ancestral: Method = ({ variance, lastStepNoise }) => (denoise, x, t, s, noise) => {
  const x_0 = denoise(x, t);
  const ofX = (t.alpha / s.alpha) * (s.sigma / t.sigma) ** 2;
  const ofData = (s.alpha * transitionVariance(t, s)) / t.sigma ** 2;
  const mean = sum(ofX, x, ofData, x_0);
  if (s.sigma === 0 && !lastStepNoise) return mean;
  const spread = variance === "beta" ? transitionVariance(t, s) : posteriorVariance(t, s);
  return sum(1, mean, Math.sqrt(spread), noise());
};

/** Whether Heun's method corrects a step from one sigma/alpha to another: `_corrects` of sfumato.samplers.heun. */
export function corrects(t: number, s: number): boolean {
  if (s === 0) return false;
  const y = Math.hypot(1, t), exact = Math.hypot(1, s);
  const plain = y + ((s - t) * t) / y;
  const corrected = y + ((s - t) * (t / y + (plain * s) / exact ** 2)) / 2;
  return Math.abs(corrected - exact) <= 3 * Math.abs(plain - exact);
}

/** Heun's method for the probability flow (Karras et al. 2022, algorithm 2, without churn). */
const heun: Method = () => (denoise, x, t, s) => {
  const [before, after] = [t.sigma / t.alpha, s.sigma / s.alpha];
  const x_0 = denoise(x, t), slope = sum(1 / (t.alpha * before), x, -1 / before, x_0);
  const step = after - before;
  let y = sum(1 / t.alpha, x, step, slope);
  if (corrects(before, after)) {
    const corrected = denoise(y.map((v) => s.alpha * v), s);
    const next = sum(1 / after, y, -1 / after, corrected);
    y = sum(1 / t.alpha, x, step / 2, slope, step / 2, next);
  }
  return y.map((v) => s.alpha * v);
};

interface Predicted {
  at: number;
  x_0: Float64Array;
}

/** Eq. (1) of sfumato.samplers.exponential, given its integral. */
function exponentialStep(
  x: Float64Array, integral: Float64Array, t: Level, s: Level, eta: number, noise: Noise,
): Float64Array {
  const h = logRatio(s) - logRatio(t), kept = s.sigma / t.sigma;
  const decay = eta === 0 ? 1 : Math.exp(-eta * h);
  const x_s = sum(kept * decay, x, s.alpha, integral);
  if (eta === 0 || s.sigma === 0) return x_s;
  return sum(1, x_s, s.sigma * Math.sqrt(-Math.expm1(-2 * eta * h)), noise());
}

/** DPM-Solver++, multistep, of order 2 or 3 (sfumato.samplers.dpm_solver), and its SDE form. */
const dpmSolver = (order: 2 | 3, stochastic: boolean): Method => ({ eta: given, noiseBelow }) => {
  let past: Predicted[] = [];
  return (denoise, x, t, s, noise) => {
    const x_0 = denoise(x, t), now = logRatio(t), h = logRatio(s) - now;
    const eta = stochastic && t.sigma / t.alpha <= noiseBelow ? given : 0;
    if (order === 3 && eta === 0 && past.length === 1) {
      const step = now - past[0].at, weight = t.alpha * (1 + Math.expm1(-step) / step);
      x = sum(1, x, weight, x_0, -weight, past[0].x_0);
    }
    const known = [{ at: now, x_0 }, ...past].slice(0, order);
    past = Number.isFinite(now) ? known.slice(0, order - 1) : [];
    return exponentialStep(x, integralOf(known, h, 1 + eta), t, s, eta, noise);
  };
};

/** Eq. (2) of sfumato.samplers.exponential, of the polynomial through what is known, newest first; c = 1 + eta. */
function integralOf([{ at: now, x_0 }, ...before]: Predicted[], h: number, c: number): Float64Array {
  const part = -Math.expm1(-c * h);
  if (!before.length || !Number.isFinite(h)) return x_0.map((v) => part * v);
  if (before.length === 1) {
    const slope = h / (2 * (now - before[0].at));
    return sum(part * (1 + slope), x_0, -part * slope, before[0].x_0);
  }
  const [w, w_1, w_2] = parabola(before[0].at - now, before[1].at - now, h, c);
  return sum(w, x_0, w_1, before[0].x_0, w_2, before[1].x_0);
}

/** Weights of the values at lambda, lambda + a and lambda + b in the integral of the parabola through them. */
function parabola(a: number, b: number, h: number, c: number): [number, number, number] {
  const m0 = -Math.expm1(-c * h), m1 = h - m0 / c, m2 = h * h - (2 * m1) / c;
  const atA = (m2 - b * m1) / (a * (a - b)), atB = (m2 - a * m1) / (b * (b - a));
  return [m0 - atA - atB, atA, atB];
}

/** UniPC of Zhao et al. (2023), B(h) = e^-h - 1, order 2: predict, and correct the step before. */
const unipc: Method = () => {
  let past: { x: Float64Array; level: Level; known: Predicted[] } | null = null;
  return (denoise, x, t, s, noise) => {
    const x_0 = denoise(x, t), now = logRatio(t), h = logRatio(s) - now;
    let known: Predicted[] = [{ at: now, x_0 }];
    if (past) {
      const integral = corrected(x_0, past.known, now - past.known[0].at);
      x = exponentialStep(past.x, integral, past.level, t, 0, noise);
      known = known.concat(past.known);
    }
    known = known.slice(0, 2);
    const integral = integralOf(known, h, 1);
    past = Number.isFinite(now) ? { x, level: t, known } : null;
    return exponentialStep(x, integral, t, s, 0, noise);
  };
};

/** The exact integral of the polynomial through the predictions before, and the one after. */
function corrected(after: Float64Array, known: Predicted[], h: number): Float64Array {
  if (known.length === 1) return sum(-Math.expm1(-h) / 2, known[0].x_0, -Math.expm1(-h) / 2, after);
  const [now, last, earlier] = parabola(h, known[1].at - known[0].at, h, 1);
  return sum(now, known[0].x_0, last, after, earlier, known[1].x_0);
}

/** A few-step map (sfumato.samplers.renoising): jump to the clean level, add noise, jump again. */
const renoising: Method = () => (denoise, x, t, s, noise) => {
  const end = denoise(x, t);
  return s.sigma === 0 ? end.map((v) => s.alpha * v) : sum(s.alpha, end, s.sigma, noise());
};

export const METHODS: Record<string, Method> = {
  ancestral,
  ddim,
  "dpm++2m": dpmSolver(2, false),
  "dpm++2m-sde": dpmSolver(2, true),
  "dpm++3m": dpmSolver(3, false),
  "dpm++3m-sde": dpmSolver(3, true),
  heun,
  unipc,
  renoising,
};

/** Clean samples, in the shape of the state, and where they are known (1). */
export interface Known {
  x_0: Float64Array;
  known: Uint8Array;
}

/** How often each step is taken where a part is known. */
const TIMES = 5;

/** Filling in (sfumato.samplers.inpainting): what is known is put back after every step, each taken a few times. */
function inpainting(make: () => Step, { x_0, known }: Known): Step {
  let own = make();
  return (denoise, x, t, s, noise) => {
    for (let left = TIMES - 1; ; left--) {
      const x_s = own(denoise, x, t, s, noise), held = s.sigma === 0 ? x_0 : sum(s.alpha, x_0, s.sigma, noise());
      for (let k = 0; k < x_s.length; k++) if (known[k]) x_s[k] = held[k];
      if (!left) return x_s;
      x = sum(t.alpha / s.alpha, x_s, Math.sqrt(transitionVariance(t, s)), noise());
      own = make();
    }
  };
}

/** Those that a person chooses from, and whether eta is theirs. */
export const SAMPLERS: Record<string, { eta: boolean }> = {
  "dpm++2m-sde": { eta: true },
  "dpm++2m": { eta: false },
  "dpm++3m-sde": { eta: true },
  "dpm++3m": { eta: false },
  unipc: { eta: false },
  heun: { eta: false },
  ddim: { eta: true },
  ancestral: { eta: false },
};

/** Walk x down the levels: K + 1 levels give K + 1 states, the first being x itself. */
export function* trajectory(
  denoiser: Denoiser, x: Float64Array, levels: Level[], method: string, options: Options, noise: Noise, known?: Known,
): Generator<Float64Array> {
  const make = () => METHODS[method](options), step = known ? inpainting(make, known) : make();
  const denoise = (at: Float64Array, level: Level) => denoiser.predict(at, level);
  yield x;
  for (let k = 0; k + 1 < levels.length; k++) {
    x = step(denoise, x, levels[k], levels[k + 1], noise);
    yield x;
  }
}

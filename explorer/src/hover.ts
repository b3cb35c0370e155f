// The point under the pointer: its way, where it may have come from, and its log density.

import { effect, signal } from "@preact/signals";

import {
  axis, direction, engine, frames, hasExact, hasFlow, lastStop, level, mixAt, networkSource, payload, quietly, type Side,
  stateAt, stop,
} from "./state";
import type { Source } from "./tasks";
import { project } from "./view";

export interface Hovered {
  side: Side;
  row: number;
  /** On the panel, from -1 to 1. */
  at: [number, number];
  /** As shown. */
  z: number[];
  path: number[][] | null;
  posterior: { z: number[]; weight: number }[];
  /** About how many places the posterior is spread over: the exponential of its entropy. */
  places: number;
}

export const hovered = signal<Hovered | null>(null);
/** In nats: null while they are computed, NaN in pure noise, where no flow has led to the point yet. */
export const logDensities = signal<{ exact: number | null; flow: number | null }>({ exact: null, flow: null });

/** How near the pointer must be, of half the panel. */
const NEAR = 0.06;

export function pointAt(side: Side, x: number, y: number): Hovered | null {
  const mix = mixAt(side), run = payload.value, now = level.value;
  if (!mix || !run || !now) return null;
  const d = run.dimension, z = new Float32Array(d);
  let best = -1, nearest = NEAR ** 2, at: [number, number] = [0, 0];
  for (let row = 0; row < mix.n; row++) {
    for (let i = 0; i < d; i++) z[i] = mix.weights[0] * mix.a[row * d + i] + mix.weights[1] * mix.b[row * d + i];
    const [u, v] = project(z, 0, row), off = (u - x) ** 2 + (v - y) ** 2;
    if (off < nearest) [best, nearest, at] = [row, off, [u, v]];
  }
  if (best < 0) return null;
  const own = Array.from({ length: d }, (_, i) => mix.weights[0] * mix.a[best * d + i] + mix.weights[1] * mix.b[best * d + i]);
  const held = frames[side].value;
  const path = direction.value === "reverse" && held
    ? held.levels.map((_, k) => Array.from(stateAt(held, k).subarray(best * d, (best + 1) * d)))
    : null;
  return { side, row: best, at, z: own, path, ...posteriorOf(own) };
}

/** q(x_0 | x_t) over the exact denoiser's points, the weightiest of them. */
function posteriorOf(z: number[]): Pick<Hovered, "posterior" | "places"> {
  const run = payload.value!, now = level.value!;
  if (!hasExact.value || now.sigma === 0) return { posterior: [], places: 0 };
  const d = run.dimension, points = run.doubles("exact/points"), logs = run.doubles("exact/log_weights");
  const widths = run.doubles("exact/width"), scale = run.displayScale(now);
  const exponents = logs.map((log, k) => {
    let exponent = log;
    for (let i = 0; i < d; i++) {
      const variance = (now.alpha * widths[i]) ** 2 + now.sigma ** 2;
      exponent -= (z[i] * scale - now.alpha * points[k * d + i]) ** 2 / (2 * variance);
    }
    return exponent;
  });
  const top = exponents.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = exponents.map((each) => Math.exp(each - top));
  const total = weights.reduce((a, b) => a + b, 0), most = 1 / total;
  let entropy = 0;
  const posterior: Hovered["posterior"] = [];
  weights.forEach((each, k) => {
    const weight = each / total;
    if (weight > 0) entropy -= weight * Math.log(weight);
    if (weight > 0.02 * most) {
      posterior.push({ z: Array.from(points.subarray(k * d, (k + 1) * d)), weight: weight / most });
    }
  });
  return { posterior, places: Math.exp(entropy) };
}

// Densities in the data's units, of the point that the pointer has come to rest on.
let rest = 0;
effect(() => {
  const found = hovered.value, run = payload.value, at = Math.min(stop.value, lastStop.value - 1);
  engine.cancel("hover");
  clearTimeout(rest);
  logDensities.value = { exact: null, flow: null };
  if (!found || !run || at < 0) return;
  const from = axis.value.findIndex((each) => each.alpha > 0);
  if (at <= from) {
    logDensities.value = { exact: NaN, flow: NaN };
    return;
  }
  rest = setTimeout(() => {
    const now = axis.value[at];
    const x = Float64Array.from(found.z, (z) => z * run.displayScale(now));
    const unit = run.header.scale.reduce((sum, scale) => sum + Math.log(scale), 0);
    const levels = axis.value.slice(from, at + 1);
    const ask = async (source: Source, as: "exact" | "flow") => {
      const { logs } = await engine.ask("hover", "density", { source, x, levels, steps: 32 });
      logDensities.value = { ...logDensities.peek(), [as]: logs[0] - unit };
    };
    if (hasExact.peek()) quietly(ask("exact", "exact"));
    if (hasFlow.peek()) quietly(ask(networkSource.peek(), "flow"));
  }, 80) as unknown as number;
});

// What lies under and over the points: paths, the arrows of the flow, densities.

import { computed, effect, signal } from "@preact/signals";

import { Replaced } from "./engine";
import { type Level } from "./payload";
import { sayingOf } from "./reasons";
import {
  axis, background, calls, direction, engine, failure, frames, hasExact, lastStop, networkSource, payload, quietly,
  showField, showPaths, type Side, stop, together,
} from "./state";
import type { Source } from "./tasks";
import { dark } from "./theme";
import { height, reach } from "./view";

const PATHS = 40;

/** Pieces of line along the ways of some points, in two coordinates or more. */
function linesOf(side: Side): Float32Array | null {
  const held = frames[side].value, d = payload.value?.dimension ?? 2;
  if (!held || !showPaths.value || direction.value !== "reverse") return null;
  const [first] = held.chunks, size = first.length / held.levels.length;
  const wide = Math.max(d, 2), rows = Math.min(PATHS, size / d), steps = held.levels.length - 1;
  const lines = new Float32Array(rows * steps * 2 * wide);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < steps; k++) {
      for (const state of [k, k + 1]) {
        for (let i = 0; i < d; i++) lines[at + i] = first[state * size + row * d + i];
        if (d === 1) lines[at + 1] = height(row);
        at += wide;
      }
    }
  }
  return lines;
}

const PATH_LINES = { learned: computed(() => linesOf("learned")), exact: computed(() => linesOf("exact")) };

export function pathLines(side: Side): Float32Array | null {
  return PATH_LINES[side].value;
}

/** Whose prediction a side shows. A map has no flow of its own: the network's is shown. */
function sourceOf(side: Side): Source {
  return side === "exact" ? "exact" : networkSource.value;
}

// ------------------------------------------------------------------------------------- arrows

const CELLS = 19;
const FIELDS = { learned: signal<Float32Array | null>(null), exact: signal<Float32Array | null>(null) };

export function arrows(side: Side): Float32Array | null {
  return showField.value ? FIELDS[side].value : null;
}

/** Middles of cells over the panel, as shown: (cells², 2). */
function cells(side: number): Float64Array {
  const [x, y] = reach.value, places = new Float64Array(2 * side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const at = 2 * (row * side + column);
      places[at] = x * ((2 * column + 1) / side - 1);
      places[at + 1] = y * ((2 * row + 1) / side - 1);
    }
  }
  return places;
}

/** Noisy levels only: at the clean one nothing moves. */
function noisyStop(): number {
  return Math.min(stop.value, lastStop.value - 1);
}

/** Whether there are arrows at the slider's stop: not at the data end, where no noisy level follows. */
export const hasArrows = computed(() => noisyStop() < lastStop.value - 1);

async function pointArrows(side: Side, source: Source, level: Level, next: Level): Promise<void> {
  const run = payload.value!, places = cells(CELLS);
  const [from, to] = [run.displayScale(level), run.displayScale(next)];
  const x = places.map((z) => z * from);
  const { moved } = await engine.ask(`field ${side}`, "field", { source, x, level, next });
  const [width, tall] = reach.value, found = new Float32Array(CELLS * CELLS * 12);
  const ways = Array.from({ length: CELLS * CELLS }, (_, k) => [
    (moved[2 * k] / to - places[2 * k]) / width, (moved[2 * k + 1] / to - places[2 * k + 1]) / tall,
  ]);
  const longest = Math.max(...ways.map(([u, v]) => Math.hypot(u, v)), 1e-12), unit = 1.7 / CELLS / longest;
  ways.forEach(([u, v], k) => {
    const [dx, dy] = [u * unit, v * unit], [x0, y0] = [places[2 * k] / width, places[2 * k + 1] / tall];
    const [x1, y1] = [x0 + dx, y0 + dy];
    const wings = [0.6, -0.6].map((angle) => {
      const [c, s] = [Math.cos(angle) * 0.35, Math.sin(angle) * 0.35];
      return [x1 - c * dx + s * dy, y1 - s * dx - c * dy];
    });
    const ends = [x0, y0, x1, y1, x1, y1, ...wings[0], x1, y1, ...wings[1]];
    ends.forEach((value, i) => (found[12 * k + i] = value * (i % 2 ? tall : width)));
  });
  FIELDS[side].value = found;
}

// --------------------------------------------------------------------------------- background

const COARSE = 24;
const FINE = { marginal: 96, model: 64 };
/** Runge-Kutta steps from the clean end to the noisy one. */
const FLOW_STEPS = 20;

export interface Shade {
  pixels: Uint8ClampedArray;
  side: number;
  /** The slider's stop that it belongs to. */
  stop: number;
}

interface Field {
  logs: Float64Array;
  side: number;
  /** What it is the density of, and the stop that it belongs to. */
  kind: "marginal" | "model";
  stop: number;
}

const DENSITY = signal<Field | null>(null);
const SHADE = computed(() => shade(DENSITY.value));

/** Stops that a shade may lag behind while the slider moves; a model's takes too long to follow. */
const LAG = 10;

/** The shade under a side: of the network's flow it is the network's alone. */
export function density(side: Side): Shade | null {
  const found = DENSITY.value, kind = background.value;
  if (kind === "none" || found?.kind !== kind || payload.value?.dimension !== 2) return null;
  if (kind === "model" && side === "exact") return null;
  return Math.abs(found.stop - noisyStop()) <= (kind === "model" ? 0 : LAG) ? SHADE.value : null;
}

/** Densities as shades of green: the square root, of which the highest is full. */
function shade(found: Field | null): Shade | null {
  if (!found) return null;
  const top = found.logs.reduce((a, b) => Math.max(a, b), -Infinity);
  const pixels = new Uint8ClampedArray(4 * found.logs.length);
  const [r, g, b] = dark.value ? [120, 190, 160] : [0, 158, 115];
  found.logs.forEach((log, k) => {
    pixels.set([r, g, b, 190 * Math.sqrt(Math.exp(log - top))], 4 * k);
  });
  return { pixels, side: found.side, stop: found.stop };
}

async function shadeAt(at: number, kind: Field["kind"]): Promise<void> {
  const level = axis.value[at], scale = payload.value!.displayScale(level);
  const source: Source = kind === "marginal" ? "exact" : networkSource.value;
  // The levels that hold signal, up to this one.
  const from = axis.value.findIndex((each) => each.alpha > 0);
  const levels = axis.value.slice(from, at + 1);
  const steps = Math.max(2, Math.ceil((FLOW_STEPS * (at - from)) / (lastStop.value - from)));
  for (const size of kind === "model" ? [COARSE, FINE[kind]] : [FINE[kind]]) {
    const x = cells(size).map((z) => z * scale), half = x.length / 2;
    const answers = await Promise.all([x.slice(0, half), x.slice(half)].map((part) =>
      engine.ask("density", "density", { source, x: part, levels, steps }),
    ));
    const logs = new Float64Array(size * size);
    answers.forEach(({ logs: found }, part) => logs.set(found, (part * size * size) / 2));
    DENSITY.value = { logs, side: size, kind, stop: at };
  }
}

function sides(): Side[] {
  if (!hasExact.value) return ["learned"];
  return together.value ? ["learned"] : ["learned", "exact"];
}

/** Whether arrows are still to come for the slider's stop. */
const pointing = signal(false);

effect(() => {
  const run = payload.value;
  engine.cancel("field");
  pointing.value = false;
  if (!run || run.dimension !== 2 || !showField.value) return;
  const at = noisyStop(), level = axis.value[at];
  // A few stops on, so that one sees where the flow leads; never to the clean level at once.
  const next = axis.value[Math.min(at + 4, lastStop.value - 1)];
  if (!hasArrows.value) {
    for (const side of sides()) FIELDS[side].value = null;
    return;
  }
  pointing.value = true;
  const both = Promise.all(sides().map((side) => pointArrows(side, sourceOf(side), level, next)));
  quietly(both.then(() => { pointing.value = false; }), pointing);
});

/** What is being shaded; the newest wish follows when it is done. */
let shading: Field["kind"] | null = null;
let settle = 0;
const waiting = signal(false);

/** Whether arrows or a shade are still to come for the slider's stop. */
export const pending = computed(() => waiting.value || pointing.value);

effect(() => {
  const run = payload.value, kind = background.value, source = networkSource.value;
  stop.value; reach.value; calls.value; source;
  clearTimeout(settle);
  // An exact density is quick, and is let finish; a model's is begun anew when the slider rests.
  if (shading !== "marginal" || kind !== "marginal") engine.cancel("density");
  if (!run || run.dimension !== 2 || kind === "none" || (kind === "marginal" && !hasExact.value)) {
    waiting.value = false;
    return;
  }
  waiting.value = true;
  if (kind === "marginal") follow();
  else settle = setTimeout(() => begin(kind), 60) as unknown as number;
});

function begin(kind: Field["kind"]): void {
  const at = noisyStop();
  shading = kind;
  shadeAt(at, kind).then(
    () => {
      shading = null;
      if (kind === "marginal" && background.peek() === kind && at !== noisyStop()) begin(kind);
      else waiting.value = false;
    },
    (error) => {
      shading = null;
      if (!(error instanceof Replaced)) {
        failure.value = sayingOf(error);
        waiting.value = false;
      } else if (kind === "marginal" && background.peek() === kind) begin(kind);
    },
  );
}

/** Shade exact densities one after another, as fast as they come. */
function follow(): void {
  if (shading !== "marginal") begin("marginal");
}

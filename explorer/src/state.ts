// What is on the screen: the run, what a person has chosen, and what the workers have found.

import { batch, computed, effect, signal, type Signal } from "@preact/signals";

import { Engine, Replaced } from "./engine";
import { type Level, logRatio, Payload } from "./payload";
import { CHUNK, Normals } from "./random";
import { type Saying, sayingOf } from "./reasons";
import { optionsOf, SAMPLERS } from "./samplers";
import type { Errors, Source } from "./tasks";

export const engine = new Engine();

/** After the samples: their turn is the last. */
const LAST = 1e6;

export type Direction = "reverse" | "forward";
export type Side = "learned" | "exact";
export type Background = "none" | "marginal" | "model";

/** What a person chooses; every field is a control on the page. */
export const direction = signal<Direction>("reverse");
export const together = signal(false);
export const showPaths = signal(true);
export const showField = signal(false);
export const background = signal<Background>("none");
export const sampler = signal("dpm++2m-sde");
export const steps = signal(50);
export const grid = signal("uniform-log-snr");
/** Whose levels are walked: the run's own, or a schedule's with its usual options. */
export const schedule = signal("");
export const eta = signal(2);
export const lateNoise = signal(true);
export const count = signal(2000);
export const seed = signal(0);
export const calls = signal(0);
export const startTooClean = signal(false);
export const noiseAtTheEnd = signal(false);
export const withoutAverage = signal(false);

/** Stop of the slider: 0 is noise, the last is data. */
export const stop = signal(0);
export const playing = signal(false);

export const payload = signal<Payload | null>(null);
export const failure = signal<Saying | null>(null);

/** alpha² of the tutorial's last level: samplers that begin there begin too near to the data. */
export const TOO_CLEAN = 0.778;

/** Levels of the slider, noisiest first, the clean one last. */
export const axis = computed(() => payload.value?.levels("axis") ?? []);
export const lastStop = computed(() => Math.max(axis.value.length - 1, 0));
export const level = computed<Level | undefined>(() => axis.value[Math.min(stop.value, lastStop.value)]);
/** Where the grids of the chosen schedule are. */
const place = computed(() => (schedule.value ? `schedule/${schedule.value}` : "grid"));
export const grids = computed(() => [...new Set((payload.value?.under(`${place.value}/`) ?? []).map((name) => name.split("/")[0]))]);
export const stepChoices = computed(() => {
  const names = payload.value?.under(`${place.value}/${grid.value}/`) ?? [];
  return names.map(Number).sort((a, b) => a - b);
});
const gridName = computed(() => `${place.value}/${grid.value}/${steps.value}`);

/** Walk along another schedule, or by another grid, in the number of steps that is nearest to the one chosen. */
export function walkAlong(along: string, by: string): void {
  batch(() => {
    schedule.value = along;
    grid.value = grids.value.includes(by) ? by : grids.value[0];
    const before = steps.peek(), all = stepChoices.value;
    steps.value = all.reduce((best, k) => (Math.abs(k - before) < Math.abs(best - before) ? k : best), all[0]);
  });
}
export const callChoices = computed(() => (payload.value?.under("few/") ?? []).map(Number).sort((a, b) => a - b));
/** Whether the network knows the levels between those of its process, as a flow's density needs. */
export const hasFlow = computed(() => payload.value?.header.network.name === "vector-mlp");
export const hasExact = computed(() => payload.value?.header.exact != null);
export const otherWeights = computed<Source | null>(() => {
  const own = payload.value?.header.sampling.weights;
  const other = own === "averaged" ? "last" : "averaged";
  return payload.value?.has(`network/${other}/output_proj.weight`) ? other : null;
});
/** Whether "no averaging" can be chosen: both kinds of weights are at hand. */
export const canDropAverage = computed(() => otherWeights.value !== null);

export const networkSource = computed<Source>(() => {
  if (withoutAverage.value && canDropAverage.value) return "last";
  return canDropAverage.value ? "averaged" : (payload.value?.header.sampling.weights ?? "averaged");
});

export interface Walk {
  levels: Level[];
  method: string;
}

/** Levels and method of the samples that are drawn. */
export const walk = computed<Walk | null>(() => {
  const run = payload.value;
  if (!run) return null;
  if (calls.value && run.has(`few/${calls.value}`)) {
    return { levels: run.levels(`few/${calls.value}`), method: "renoising" };
  }
  if (!run.has(gridName.value)) return null;
  let levels = run.levels(gridName.value);
  if (startTooClean.value) {
    const from = levels.findIndex((each) => (each.alpha / Math.hypot(each.alpha, each.sigma)) ** 2 >= TOO_CLEAN);
    levels = levels.slice(Math.min(Math.max(from, 0), levels.length - 2)); // one step at least
  }
  const method = noiseAtTheEnd.value ? "ancestral" : sampler.value;
  return { levels, method };
});

/** States on their way as they are shown, chunk after chunk, (levels, rows, dimension) each. */
export interface Frames {
  levels: Level[];
  chunks: Float32Array[];
  rows: number;
  milliseconds: number;
}

export const frames: Record<Side, Signal<Frames | null>> = {
  learned: signal<Frames | null>(null),
  exact: signal<Frames | null>(null),
};
export const energies: Record<Side, Signal<number | null>> = {
  learned: signal<number | null>(null),
  exact: signal<number | null>(null),
};
/** Whether a side is being drawn anew. */
export const drawing: Record<Side, Signal<boolean>> = { learned: signal(false), exact: signal(false) };
/** Whether errors are being computed. */
const measuring = signal(false);
/** Whether something of the run on the screen is still to come. */
export const busy = computed(() => drawing.learned.value || drawing.exact.value || measuring.value);
/** Errors of the network by noise level, at the levels of `compared`. */
export const errors = signal<Errors | null>(null);
export const compared = computed(() => payload.value?.levels("compared").slice(0, -1) ?? []);
/** What the energy distance of two real sets reaches by chance: see `metrics.evaluation.judged`. */
export const energyLimit = signal<number | null>(null);

/** Real rows, and the noise that the forward process adds to them; as they are shown. */
export const forward = computed(() => {
  const run = payload.value;
  if (!run?.has("rows/real")) return null;
  const rows = run.floats("rows/real"), d = run.dimension, n = Math.min(count.value, rows.length / d);
  const noise = new Float32Array(n * d);
  for (let chunk = 0; chunk * CHUNK < n; chunk++) {
    const drawn = Normals.ofChunk(seed.value, chunk).draw(CHUNK * d);
    noise.set(drawn.subarray(0, Math.min(CHUNK, n - chunk * CHUNK) * d), chunk * CHUNK * d);
  }
  return { rows: rows.subarray(0, n * d), noise, n };
});

/** Two arrays of positions and their weights, which give the points of a panel at the slider's stop. */
export interface Mix {
  a: Float32Array;
  b: Float32Array;
  weights: [number, number];
  n: number;
}

/** Where the points of a side are at the slider's stop. */
export function mixAt(side: Side): Mix | null {
  const now = level.value;
  if (!now) return null;
  if (direction.value === "forward") {
    const given = forward.value;
    if (!given) return null;
    const scale = payload.value!.displayScale(now);
    return { a: given.rows, b: given.noise, weights: [now.alpha / scale, now.sigma / scale], n: given.n };
  }
  const held = frames[side].value;
  if (!held) return null;
  const { index, part } = placeIn(held.levels, now);
  return {
    a: stateAt(held, index), b: stateAt(held, Math.min(index + 1, held.levels.length - 1)),
    weights: [1 - part, part], n: held.rows,
  };
}

/** Which step of a walk a level lies in, and how far along it. */
export function placeIn(levels: Level[], now: Level): { index: number; part: number } {
  const at = logRatio(now), last = levels.length - 1;
  if (now.sigma === 0) return { index: last, part: 0 };
  let index = 0;
  while (index < last - 1 && logRatio(levels[index + 1]) <= at + 1e-9) index += 1;
  const [from, to] = [logRatio(levels[index]), logRatio(levels[index + 1])];
  const part = (at - from) / (to - from);
  return { index, part: Number.isFinite(part) ? Math.min(Math.max(part, 0), 1) : 0 };
}

/** All rows of one state of a walk. */
export function stateAt(held: Frames, index: number): Float32Array {
  const key = held.chunks.length;
  const cache = (merged.get(held) ?? merged.set(held, new Map()).get(held))!;
  const found = cache.get(index);
  if (found && found.key === key) return found.rows;
  const parts = held.chunks.map((chunk) => {
    const size = chunk.length / held.levels.length;
    return chunk.subarray(index * size, (index + 1) * size);
  });
  const rows = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    rows.set(part, at);
    at += part.length;
  }
  if (cache.size > 8) cache.clear();
  cache.set(index, { key, rows });
  return rows;
}

const merged = new WeakMap<Frames, Map<number, { key: number; rows: Float32Array }>>();

/** Noise of a sampler that is chosen: the run's own where it is the run's, none where it need not be. */
export function usualEta(name: string): number {
  const own = payload.value?.header.sampling;
  return optionsOf(name, own?.sampler === name ? own.options : {}).eta;
}

/** Open a run: its own settings, and everything drawn anew. A run that is being fitted keeps them. */
export function open(bytes: ArrayBuffer, { keep = false } = {}): void {
  const found = new Payload(bytes);
  engine.load(bytes);
  batch(() => {
    const { sampling, seed: own } = found.header, before = payload.value;
    payload.value = found;
    if (!keep || before?.dimension !== found.dimension) {
      const drawable = sampling.sampler in SAMPLERS && sampling.options.variance !== "learned";
      sampler.value = drawable ? sampling.sampler : "dpm++2m";
      steps.value = sampling.steps;
      grid.value = sampling.grid;
      schedule.value = "";
      eta.value = usualEta(sampling.sampler);
      lateNoise.value = "noise_below" in sampling.options;
      noiseAtTheEnd.value = sampling.options.last_step_noise === true;
      withoutAverage.value = sampling.weights === "last";
      calls.value = sampling.few;
      seed.value = own;
    }
    if (!(schedule.value in found.header.schedules)) walkAlong("", grid.value);
    if (!keep) stop.value = found.shape("axis")[0] - 1;
  });
}

/** The options of the sampler as they are set. */
export function options() {
  const given = payload.value?.header.sampling.options ?? {};
  const usual = noiseAtTheEnd.value ? ("beta" as const) : ("beta_tilde" as const);
  return {
    eta: eta.value,
    noiseBelow: lateNoise.value ? Number(given.noise_below ?? 1) : Infinity,
    variance: given.variance === "beta" || given.variance === "beta_tilde" ? given.variance : usual,
    lastStepNoise: noiseAtTheEnd.value,
  };
}

/** Rows of a task, a part of a chunk; of the first one few, so that they are soon seen. */
const PART = 256, FIRST = 64;

/** Milliseconds from one look at what is drawn by then to the next: each takes time from those that draw. */
const PAUSE = 100;

async function draw(side: Side, source: Source, chosen: Walk): Promise<void> {
  engine.cancel(`walk ${side}`);
  drawing[side].value = true;
  const total = count.value, d = payload.value!.dimension, started = performance.now();
  const begins = [0, FIRST, ...Array.from({ length: Math.ceil(total / PART) }, (_, k) => k * PART).slice(1)];
  const parts = begins.filter((first) => first < total);
  const asked = parts.map((first, turn) =>
    engine.ask(`walk ${side}`, "walk", {
      source, method: chosen.method, options: options(), levels: chosen.levels, seed: seed.value,
      chunk: Math.floor(first / CHUNK), first: first % CHUNK, rows: (parts[turn + 1] ?? total) - first,
    }, turn),
  );
  // The first that is replaced tells of all: the others are not waited for.
  for (const each of asked) each.catch(() => undefined);
  const chunks: Float32Array[] = [];
  let shown = -Infinity;
  for (const each of asked) {
    chunks.push((await each).frames);
    if (chunks.length < asked.length && performance.now() - shown < PAUSE) continue;
    shown = performance.now();
    const rows = chunks.reduce((sum, chunk) => sum + chunk.length, 0) / chosen.levels.length / d;
    frames[side].value = {
      levels: chosen.levels, chunks: [...chunks], rows, milliseconds: performance.now() - started,
    };
  }
  drawing[side].value = false;
  failure.value = null;
  await measure(side);
}

/** Rows that are compared: the energy distance grows with their square. */
const MEASURED = 2000;

async function measure(side: Side): Promise<void> {
  const run = payload.value, held = frames[side].value;
  if (!run?.has("rows/real") || run.shape("rows/real")[0] < 2 || !held) {
    energies[side].value = null;
    return;
  }
  const last = stateAt(held, held.levels.length - 1).slice(0, MEASURED * run.dimension);
  // The last state is shown at unit scale: the clean level's alpha is 1.
  const { distance } = await engine.ask(`energy ${side}`, "energy", { a: last, b: run.floats("rows/real") }, LAST);
  energies[side].value = distance;
}

/** What goes wrong is said, and nothing waits for it any more; what was replaced is no fault. */
export function quietly(task: Promise<void>, underWay?: Signal<boolean>): void {
  task.catch((error) => {
    if (error instanceof Replaced) return;
    failure.value = sayingOf(error);
    if (underWay) underWay.value = false;
  });
}

// A change of what is drawn draws it.
effect(() => {
  const chosen = walk.value, run = payload.value;
  options(); count.value; seed.value;
  if (!run || !chosen) return;
  quietly(draw("learned", calls.value ? "few" : networkSource.value, chosen), drawing.learned);
});

let drawnExactly = "";

effect(() => {
  const run = payload.value;
  options(); count.value; seed.value;
  // The exact denoiser is no map: it is drawn with by the sampler, whatever the calls.
  const name = gridName.value;
  if (!run || run.header.exact === null || !run.has(name)) {
    frames.exact.value = null;
    drawing.exact.value = false;
    drawnExactly = "";
    return;
  }
  const chosen = calls.value ? { levels: run.levels(name), method: sampler.value } : walk.value;
  if (!chosen) return;
  // While a network is being fitted its exact denoiser stays the same, and so do its samples.
  const key = JSON.stringify([run.header.name, run.header.rows, run.header.mean, options(), chosen, count.value, seed.value]);
  if (key === drawnExactly) return;
  drawnExactly = "";
  quietly(draw("exact", "exact", chosen).then(() => { drawnExactly = key; }), drawing.exact);
});

effect(() => {
  const run = payload.value;
  energyLimit.value = null;
  const others = (run?.under("rows/other/") ?? []).map((name) => run!.floats(`rows/other/${name}`));
  if (!run || others.length < 2) return;
  const b = run.floats("rows/real");
  quietly(
    Promise.all(others.map((a) => engine.ask("energy floor", "energy", { a, b }, LAST))).then((found) => {
      const values = found.map(({ distance }) => distance), n = values.length;
      const mean = values.reduce((sum, v) => sum + v, 0) / n;
      const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
      energyLimit.value = mean + run.header.chance * Math.sqrt(variance);
    }),
  );
});

effect(() => {
  const run = payload.value, source = networkSource.value;
  engine.cancel("errors");
  if (!run?.has("rows/real")) {
    errors.value = null;
    measuring.value = false;
    return;
  }
  const ask = { source, levels: compared.value, seed: run.header.seed };
  measuring.value = true;
  quietly(engine.ask("errors", "errors", ask, LAST).then((found) => {
    errors.value = found;
    measuring.value = false;
  }), measuring);
});

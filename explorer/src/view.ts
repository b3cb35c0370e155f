// From the numbers that a network sees to the panel: limits, rotation, ticks in the data's units.

import { computed, signal } from "@preact/signals";

import { payload } from "./state";

/** Turn of a cloud in space, in radians: about the vertical, and up. */
export const turn = signal<[number, number]>([0.6, 0.35]);

/** Columns whose spreads are as far apart as this leave nothing to see of a shape at equal scale. */
const TOO_FLAT = 50;

/** Whether both axes have one scale: columns called x and y, or one word with two numbers, are places in a plane. */
export const oneScale = computed(() => {
  const { columns = [], scale = [] } = payload.value?.header ?? {}, [a, b] = columns;
  if (columns.length !== 2 || Math.max(...scale) > TOO_FLAT * Math.min(...scale)) return false;
  return (a === "x" && b === "y") || a.replace(/\d+$/, "") === b.replace(/\d+$/, "");
});

/** Half the width of what is shown, in standard deviations of each column. */
export const reach = computed<[number, number]>(() => {
  const run = payload.value;
  if (!run) return [3, 3];
  const d = run.dimension, most = Array<number>(d).fill(run.has("rows/real") ? 0 : 2.4);
  if (run.has("rows/real")) {
    const rows = run.floats("rows/real"), squares = Array<number>(d).fill(0);
    rows.forEach((v, k) => {
      most[k % d] = Math.max(most[k % d], 1.08 * Math.abs(v));
      squares[k % d] += v * v;
    });
    // Room for the noise, whose tails are as wide as those of a Gaussian of the data's spread.
    const spread = Math.sqrt(squares.reduce((a, b) => a + b, 0) / rows.length);
    most.forEach((v, i) => (most[i] = Math.max(v, 2.4 * spread)));
  }
  if (d === 1) return [most[0], 1];
  if (d === 3) {
    const all = Math.hypot(...most) * 0.75;
    return [all, all];
  }
  if (!oneScale.value) return [most[0], most[1]];
  const { scale } = run.header, half = Math.max(most[0] * scale[0], most[1] * scale[1]);
  return [half / scale[0], half / scale[1]];
});

/** The projection to the panel as a matrix of two rows: panel = M z, from -1 to 1. */
export const projection = computed<number[][]>(() => {
  const d = payload.value?.dimension ?? 2, [x, y] = reach.value;
  if (d < 3) return [[1 / x, 0, 0], [0, 1 / y, 0]];
  const [about, up] = turn.value;
  const [ca, sa, cu, su] = [Math.cos(about), Math.sin(about), Math.cos(up), Math.sin(up)];
  return [[ca / x, -sa / x, 0], [(sa * su) / y, (ca * su) / y, cu / y]];
});

/** Heights of points that have one coordinate: even, and the same in every frame. */
export function height(row: number): number {
  return 1.6 * (((row * 0.6180339887) % 1) - 0.5);
}

/** Where one shown row is on the panel. */
export function project(z: ArrayLike<number>, at: number, row: number): [number, number] {
  const [first, second] = projection.value, d = payload.value?.dimension ?? 2;
  if (d === 1) return [first[0] * z[at], height(row)];
  let [x, y] = [0, 0];
  for (let i = 0; i < d; i++) {
    x += first[i] * z[at + i];
    y += second[i] * z[at + i];
  }
  return [x, y];
}

/** Round numbers in the data's units along one column, and where they are, from -1 to 1. */
export function ticks(column: number): { at: number; label: string }[] {
  const run = payload.value;
  if (!run) return [];
  const { mean, scale } = run.header, half = reach.value[column];
  const [low, high] = [mean[column] - half * scale[column], mean[column] + half * scale[column]];
  const rough = (high - low) / 4, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * size).find((each) => each >= rough) ?? size;
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
    const label = Math.abs(v) < step / 2 ? "0" : digits > 6 || Math.abs(v) >= 1e6 ? v.toPrecision(3) : v.toFixed(digits);
    found.push({ at: (2 * (v - low)) / (high - low) - 1, label });
  }
  return found;
}

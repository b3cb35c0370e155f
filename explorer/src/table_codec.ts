// Between a table's own values and what its network knows, as sfumato.data.codecs.columns has it.

import type { Packed } from "./payload";
import type { Live, TableHeader, Value } from "./tables_state";

/** Of each column: with which masses, and where h has its corners. */
export interface NumericPart {
  sizes: number[];
  masses: number[];
  low: number;
  high: number;
  /** From which x to which there are numbers, tails too; what lies farther out is a gap. */
  reach: [number, number];
  step: number;
  /** Whether its values are whole numbers, and how many decimals they have, if that is known. */
  whole: boolean;
  digits: number | null;
  /** Its units in one of the page's: of dates microseconds in a millisecond. */
  milli: number;
}

export interface CategoricalPart {
  sizes: number[];
  categories: number;
}

export type Part = NumericPart | CategoricalPart;

export const isNumber = (part: Part): part is NumericPart => "masses" in part;

/** What is known of a row: z of each number, NaN where it is not; codes, the column's number where not. */
export interface Known {
  numbers: Float64Array;
  categories: Int32Array;
  /** Columns whose value lies beyond those that were seen or in a gap; the nearest seen stands for it. */
  unlike: number[];
}

/** The codes and the z of a row's values; of columns that are not named nothing is known. */
export function encoded(values: ReadonlyMap<number, Value>, run: Packed<TableHeader>): Known {
  const { live, columns } = run.header, { parts, sizes, states } = live!;
  const numbers = new Float64Array(states.length).fill(NaN), categories = Int32Array.from(sizes);
  const unlike: number[] = [];
  let number = 0, category = 0;
  parts.forEach((part, k) => {
    const value = values.get(k), size = part.sizes[0] ?? 0;
    if (value !== undefined) {
      if (!isNumber(part)) {
        const code = value === null ? part.categories : columns[k].categories!.indexOf(String(value));
        // Rows kept out of training may have a category that the model does not know.
        const known = value === null ? code < size : code < part.categories;
        if (size && known) categories[category] = code;
      } else if (value === null) {
        if (size && live!.missing[category] >= 0) categories[category] = live!.missing[category];
      } else {
        const own = Number(value) * part.milli, mass = part.masses.indexOf(own);
        if (size) categories[category] = mass + 1;
        if (mass < 0) {
          const { z, isUnlike } = placed(own - part.low, part, run, k);
          numbers[number] = z;
          if (isUnlike) unlike.push(k);
        }
      }
    }
    if (isNumber(part)) number += 1;
    category += part.sizes.length;
  });
  return { numbers, categories, unlike };
}

/** The middle of a value's cell in z, within what was seen; and whether none like it was seen. */
function placed(x: number, part: NumericPart, run: Packed<TableHeader>, k: number): { z: number; isUnlike: boolean } {
  const knots = run.doubles(`codec/${k}/knots`), heights = run.doubles(`codec/${k}/heights`);
  const low = up(x - part.step / 2, knots, heights, false), high = up(x + part.step / 2, knots, heights, true);
  const z = high > low ? middle(low, high) : low;
  const span = part.high - part.low, isLevel = high <= low && up(x + 1e-9 * span, knots, heights, true) <= low;
  const isUnlike = isLevel || x < part.reach[0] || x > part.reach[1];
  const least = heights[0], most = heights[heights.length - 1];
  return { z: Math.fround(Math.min(Math.max(z, least), most)), isUnlike };
}

/** h at x, at a jump from the left or the right; beyond the knots it goes on. */
function up(x: number, knots: Float64Array, heights: Float64Array, right: boolean): number {
  const last = knots.length - 1;
  let piece = -1;
  for (let k = 0; k <= last && (right ? knots[k] <= x : knots[k] < x); k++) piece = k;
  const beyond = right ? x >= knots[last] : x > knots[last];
  piece = Math.min(Math.max(piece, 0), last - 1);
  const run = knots[piece + 1] - knots[piece];
  let slope = run > 0 ? (heights[piece + 1] - heights[piece]) / run : 0;
  if ((piece === 0 || piece === last - 1) && slope <= 0) {
    slope = (heights[last] - heights[0]) / (knots[last] - knots[0]);
  }
  const corner = beyond ? last : piece;
  return heights[corner] + slope * (x - knots[corner]);
}

/** Where half of the mass of N(0, 1) between two places is below: by halving. */
function middle(low: number, high: number): number {
  const turned = low > 0, [a, b] = turned ? [-high, -low] : [low, high];
  const wanted = (below(a) + below(b)) / 2;
  let [from, to] = [a, b];
  for (let k = 0; k < 60 && to - from > 1e-12; k++) {
    const half = (from + to) / 2;
    if (below(half) < wanted) from = half;
    else to = half;
  }
  const z = wanted > 0 ? (from + to) / 2 : (a + b) / 2;
  return turned ? -z : z;
}

/** N(0, 1) below z <= 0 and a little above: Abramowitz & Stegun (1964), 26.2.10 and 26.2.14. */
function below(z: number): number {
  const density = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
  if (z > -3) {
    let term = z, sum = z;
    for (let k = 1; Math.abs(term) > 1e-18 && k < 200; k++) sum += term *= (z * z) / (2 * k + 1);
    return 0.5 + density * sum;
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / (-z + fraction);
  return density / (-z + fraction);
}

/** Values as the page has them: numbers, milliseconds of dates, places of categories. */
export function decoded(
  numbers: Float64Array, categories: Int32Array, n: number, live: Live, run: Packed<TableHeader>,
): (Float64Array | Int32Array)[] {
  const d = live.states.length, s = live.sizes.length;
  let number = 0, category = 0;
  return live.parts.map((part, k) => {
    const size = part.sizes[0] ?? 0, code = (row: number) => (size ? categories[row * s + category] : 0);
    let found: Float64Array | Int32Array;
    if (isNumber(part)) {
      const knots = run.doubles(`codec/${k}/knots`), heights = run.doubles(`codec/${k}/heights`), j = number;
      const missing = live.missing[category];
      found = Float64Array.from({ length: n }, (_, row) => {
        if (size && missing >= 0 && code(row) === missing) return NaN;
        const value = code(row) > 0 ? part.masses[code(row) - 1] : nearest(down(numbers[row * d + j], knots, heights, part.step), part);
        return value / part.milli;
      });
      number += 1;
    } else {
      found = Int32Array.from({ length: n }, (_, row) => (code(row) < part.categories ? code(row) : -1));
    }
    category += part.sizes.length;
    return found;
  });
}

/** The inverse of h, half a cell from its ends. */
function down(z: number, knots: Float64Array, heights: Float64Array, step: number): number {
  const last = knots.length - 1, half = step / 2;
  const begin = knots[0] + (knots[0] === knots[1] ? 0 : half), end = knots[last] - (knots[last] === knots[last - 1] ? 0 : half);
  let [from, to] = [0, last];
  if (z <= heights[0]) return Math.min(Math.max(knots[0], begin), end);
  if (z >= heights[last]) return Math.min(Math.max(knots[last], begin), end);
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (heights[middle] <= z) from = middle;
    else to = middle;
  }
  const slope = (knots[to] - knots[from]) / (heights[to] - heights[from]);
  return Math.min(Math.max(knots[from] + slope * (z - heights[from]), begin), end);
}

/** The nearest value that the column may have. */
function nearest(x: number, { low, high, step, whole, digits }: NumericPart): number {
  if (step) x = even(x / step) * step;
  x = Math.min(Math.max(x, 0), high - low);
  const value = Math.min(Math.max((whole ? even(x) : x) + low, low), high);
  return whole || digits === null ? value : Number(value.toFixed(digits));
}

/** The nearest whole number; of two the even one. */
function even(x: number): number {
  const down = Math.floor(x), off = x - down;
  if (off !== 0.5) return Math.round(x);
  return down % 2 ? down + 1 : down;
}

// Between a number's own values and its z, as sfumato.data.codecs.columns has it.

/** Of a number: with which masses, and where h has its corners. */
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

/** Of a numeric column, or of the slack of a rule. */
export class NumberCodec {
  constructor(readonly part: NumericPart, private readonly knots: Float64Array, private readonly heights: Float64Array) {}

  /** The middle of a value's cell in z, within what was seen; and whether none like it was seen. */
  placed(value: number): { z: number; isUnlike: boolean } {
    const { knots, heights, part } = this, x = value - part.low;
    const low = up(x - part.step / 2, knots, heights, false), high = up(x + part.step / 2, knots, heights, true);
    const z = high > low ? middle(low, high) : low;
    const span = part.high - part.low, isLevel = high <= low && up(x + 1e-9 * span, knots, heights, true) <= low;
    const isUnlike = isLevel || x < part.reach[0] || x > part.reach[1];
    const least = heights[0], most = heights[heights.length - 1];
    return { z: Math.fround(Math.min(Math.max(z, least), most)), isUnlike };
  }

  /** The value of a z. */
  valueOf(z: number): number {
    return this.nearest(down(Number.isNaN(z) ? 0 : z, this.knots, this.heights, this.part.step) + this.part.low);
  }

  /** The nearest value that the column may have. */
  nearest(value: number): number {
    const { low, high, step, whole, digits } = this.part;
    let x = value - low;
    if (step) x = even(x / step) * step;
    x = Math.min(Math.max(x, 0), high - low);
    const found = Math.min(Math.max((whole ? even(x) : x) + low, low), high);
    return whole || digits === null ? found : Number(found.toFixed(digits));
  }
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

/** The nearest whole number; of two the even one. */
export function even(x: number): number {
  const down = Math.floor(x), off = x - down;
  if (off !== 0.5) return Math.round(x);
  return down % 2 ? down + 1 : down;
}

/** With so many decimals, as NumPy rounds. */
export function rounded(x: number, digits: number): number {
  const scale = 10 ** digits;
  return even(x * scale) / scale;
}

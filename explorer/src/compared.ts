// How far apart the numbers of rows are that have one unit: sfumato.denoisers.compared.

import type { Packed } from "./payload";
import type { TableHeader } from "./tables_state";

/** From where to where u is read. */
const END = 4;

/** Which numbers of rows there are, and all categories, one row after the other. */
interface There {
  isKnown: Uint8Array;
  isNoisy: Uint8Array;
  categories: Int32Array;
}

export class Comparisons {
  readonly count: number;
  private readonly columns: Int32Array;
  private readonly curves: Float64Array;
  private readonly states: Int32Array;
  private readonly masses: Float64Array;
  private readonly repeats: number[][];
  private readonly own: Int32Array;
  private readonly other: Int32Array;
  private readonly scales: Float64Array;

  constructor(run: Packed<TableHeader>) {
    this.columns = run.integers("compared/columns");
    this.curves = run.doubles("compared/curves");
    this.states = run.integers("compared/states");
    this.masses = run.doubles("compared/masses");
    const repeats = run.integers("compared/repeats");
    this.repeats = Array.from({ length: repeats.length / 3 }, (_, k) => [...repeats.subarray(3 * k, 3 * k + 3)]);
    this.own = run.integers("compared/own");
    this.other = run.integers("compared/other");
    this.scales = run.doubles("compared/scales");
    this.count = this.scales.length;
  }

  static of(run: Packed<TableHeader>): Comparisons | null {
    return run.has("compared/scales") ? new Comparisons(run) : null;
  }

  /** Eq. (1) of numbers `(rows, numbers)`, or estimates of them: `(rows, count)`. */
  of(z: Float64Array, numbers: number, { isKnown, isNoisy, categories }: There): Float64Array {
    const { columns, curves, states, masses, own, other, scales, count } = this;
    const rows = z.length / numbers, most = masses.length / columns.length, d = categories.length / rows;
    const code = (row: number, k: number) => (states[k] < 0 ? 0 : categories[row * d + states[k]]);
    const values = curves.length / columns.length, u = new Float64Array(columns.length);
    const found = new Float64Array(rows * count);
    for (let row = 0; row < rows; row++) {
      columns.forEach((column, k) => {
        const at = row * numbers + column;
        const place = ((Math.min(Math.max(z[at], -END), END) + END) * (values - 1)) / (2 * END);
        const first = Math.min(Math.floor(place), values - 2), low = curves[k * values + first];
        u[k] = isKnown[at] || isNoisy[at] ? low + (curves[k * values + first + 1] - low) * (place - first) : NaN;
        const mass = code(row, k) < most ? masses[k * most + code(row, k)] : NaN;
        if (!Number.isNaN(mass)) u[k] = mass;
      });
      for (const [k, repeated, as] of this.repeats) if (code(row, k) === as) u[k] = u[repeated];
      for (let p = 0; p < count; p++) {
        found[row * count + p] = Math.asinh((u[own[p]] - u[other[p]]) / scales[p]) || 0; // of NaN it is 0
      }
    }
    return found;
  }
}

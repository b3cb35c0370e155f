// Rows of a table drawn in the page: categories one after another, then the numbers given them, as
// sfumato.models.table has it, of the same noise.

import type { Kernel } from "./kernel";
import type { Level, Packed } from "./payload";
import { CHUNK, Normals, uniforms } from "./random";
import { optionsOf, trajectory } from "./samplers";
import { decoded, type Known } from "./table_codec";
import { type Condition, TableDenoiser, TableNetwork } from "./table_network";
import type { TableHeader } from "./tables_state";
import { Together } from "./together";

/** The stream of the categories of a chunk (`process.streams.LEVELS`). */
const LEVELS = 6;

export interface RowsAsked {
  seed: number;
  chunk: number;
  first: number;
  rows: number;
  /** The same of every row. */
  known: Known;
  /** Whether a value that is drawn may be missing. */
  missingAllowed: boolean;
}

export interface RowsDrawn {
  columns: (Float64Array | Int32Array)[];
  calls: number;
}

/** What draws the rows of a run. */
export class RowDrawer {
  private readonly network: TableNetwork;
  private readonly drawing: TableNetwork;
  private readonly together: Together;

  constructor(kernel: Kernel, private readonly run: Packed<TableHeader>) {
    this.network = new TableNetwork(kernel, run, "network");
    this.together = new Together(run);
    this.drawing = run.has("few/input_proj.weight") ? new TableNetwork(kernel, run, "few") : this.network;
  }

  /** Yields between pieces of work, and at last the rows. */
  *draw({ seed, chunk, first, rows, known, missingAllowed }: RowsAsked, levels: Level[]): Generator<RowsDrawn | null> {
    const live = this.run.header.live!, c = live.states.length;
    const categories = repeated(known.categories, rows);
    let calls = 0;
    for (const asked of this.categories(categories, { seed, chunk, first, known, missingAllowed })) {
      calls += Number(asked);
      yield null;
    }
    const numbers = repeated(known.numbers, rows), condition = this.condition(numbers, categories, rows);
    if (condition.isNoisy.some(Boolean)) {
      const normals = Normals.ofChunk(seed, chunk);
      const noise = () => normals.draw(CHUNK * c).subarray(first * c, (first + rows) * c);
      const scale = Math.hypot(levels[0].alpha, levels[0].sigma), denoiser = new TableDenoiser(this.drawing, this.run, condition);
      let x: Float64Array = noise().map((v) => v * scale);
      for (const state of trajectory(denoiser, x, levels, live.method, optionsOf(live.method, live.options), noise)) {
        x = state;
        yield null;
      }
      calls += denoiser.calls;
      for (let k = 0; k < numbers.length; k++) if (condition.isNoisy[k]) numbers[k] = x[k];
    }
    yield { columns: decoded(numbers, categories, rows, live, this.run), calls };
  }

  /** Which numbers are known and which are to be drawn, given all categories. */
  private condition(numbers: Float64Array, categories: Int32Array, rows: number): Condition {
    const { states, sizes } = this.run.header.live!, c = states.length;
    const isKnown = new Uint8Array(rows * c), isNoisy = new Uint8Array(rows * c);
    for (let row = 0; row < rows; row++) {
      states.forEach((state, j) => {
        const at = row * c + j, there = state < 0 || categories[row * sizes.length + state] === 0;
        isKnown[at] = Number(!Number.isNaN(numbers[at]));
        isNoisy[at] = Number(there && !isKnown[at]);
      });
    }
    return { known: numbers, isKnown, isNoisy, categories };
  }

  /** Draws the hidden ones in place (sfumato.samplers.unmasking, eq. 1); tells of each call. */
  private *categories(
    categories: Int32Array, { seed, chunk, first, known, missingAllowed }: Omit<RowsAsked, "rows">,
  ): Generator<boolean> {
    const { sizes, orders, missing, states } = this.run.header.live!, s = sizes.length;
    if (!s || known.categories.every((code, k) => code < sizes[k])) return;
    const uniform = uniforms(CHUNK * s, seed, LEVELS, chunk), rows = categories.length / s;
    const begins = sizes.map((_, k) => sizes.slice(0, k).reduce((sum, size) => sum + size, 0)), all = this.network.logitCount;
    const numbers = repeated(known.numbers, rows), c = states.length;
    const isKnown = Uint8Array.from(numbers, (v) => Number(!Number.isNaN(v))), isNoisy = new Uint8Array(rows * c);
    for (let turn = 0; turn < Math.max(...orders.map((order) => order.length)); turn++) {
      // Row r of a chunk goes by order r modulo their number; what is known of every row is the same.
      const columnsOf = (row: number) => orders[(first + row) % orders.length][turn] ?? [];
      if (!orders.some((order) => (order[turn] ?? []).some((k) => known.categories[k] === sizes[k]))) continue;
      const logits = this.network.logits({ known: numbers, isKnown, isNoisy, categories });
      for (let row = 0; row < rows; row++) {
        for (const k of columnsOf(row)) {
          if (categories[row * s + k] !== sizes[k]) continue;
          const own = logits.slice(row * all + begins[k], row * all + begins[k] + sizes[k]);
          if (!missingAllowed && missing[k] >= 0) own[missing[k]] = -Infinity;
          const may = this.together.allowed(categories.subarray(row * s, (row + 1) * s), k, missingAllowed ? [] : missing);
          may?.forEach((can, code) => { if (!can) own[code] = -Infinity; });
          categories[row * s + k] = chosen(own, uniform[(first + row) * s + k]);
        }
      }
      yield true;
    }
  }
}

/** The first category whose probability, with those before, is above a share of all. */
function chosen(logits: Float64Array, share: number): number {
  const highest = logits.reduce((a, b) => Math.max(a, b)), parts = logits.map((v) => Math.exp(v - highest));
  const total = parts.reduce((sum, v) => sum + v, 0);
  let below = 0, found = 0;
  for (const part of parts) {
    below += part;
    if (below <= share * total) found += 1;
  }
  return Math.min(found, parts.length - 1);
}

function repeated<A extends Float64Array | Int32Array>(row: A, times: number): A {
  const found = new (row.constructor as new (length: number) => A)(row.length * times);
  for (let k = 0; k < times; k++) found.set(row as never, k * row.length);
  return found;
}

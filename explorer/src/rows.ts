// Rows of a table drawn in the page: categories one after another, then the numbers given them, as
// sfumato.models.table has it, of the same noise.

import type { Kernel } from "./kernel";
import type { Level, Packed } from "./payload";
import { CHUNK, Normals, uniforms } from "./random";
import { optionsOf, trajectory } from "./samplers";
import { type Known, TableCodec } from "./table_codec";
import { TableDenoiser, TableNetwork } from "./table_network";
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
  private readonly codec: TableCodec;

  constructor(kernel: Kernel, private readonly run: Packed<TableHeader>) {
    this.network = new TableNetwork(kernel, run, "network");
    this.together = new Together(run);
    this.codec = new TableCodec(run);
    this.drawing = run.has("few/input_proj.weight") ? new TableNetwork(kernel, run, "few") : this.network;
  }

  /** Yields between pieces of work, and at last the rows. */
  *draw(asked: RowsAsked, levels: Level[]): Generator<RowsDrawn | null> {
    const { seed, chunk, first, rows } = asked, live = this.run.header.live!, c = this.network.numbers;
    const known: Known = {
      numbers: repeated(asked.known.numbers, rows), categories: repeated(asked.known.categories, rows), exact: repeated(asked.known.exact, rows),
    };
    let calls = 0;
    for (const call of [this.settle(known, asked), this.categories(known, asked)]) {
      for (const _ of call) {
        calls += 1;
        yield null;
      }
    }
    const { categories, exact } = known, condition = this.codec.free(known, categories), numbers = condition.known;
    if (condition.isNoisy.some(Boolean)) {
      const normals = Normals.ofChunk(seed, chunk);
      const noise = () => normals.part(CHUNK * c, first * c, (first + rows) * c);
      const scale = Math.hypot(levels[0].alpha, levels[0].sigma), denoiser = new TableDenoiser(this.drawing, this.run, condition);
      let x: Float64Array = noise().map((v) => v * scale);
      for (const state of trajectory(denoiser, x, levels, live.method, optionsOf(live.method, live.options), noise)) {
        x = state;
        yield null;
      }
      calls += denoiser.calls;
      for (let k = 0; k < numbers.length; k++) if (condition.isNoisy[k]) numbers[k] = x[k];
    }
    yield { columns: this.codec.decoded({ numbers, categories, exact }), calls };
  }

  /** Draws, in place, whether known numbers repeat others that are not; yields after each call. */
  private *settle(known: Known, { seed, chunk, first, rows }: RowsAsked): Generator<void> {
    const { codec, network } = this, { repeats, states, sizes } = codec.live, all = network.logitCount;
    const isOpen = (row: number, k: number) => codec.repeats.isOpen(codec.row(known, row), repeats[k]);
    const places = Array.from({ length: rows }, (_, row) => row);
    if (!repeats.some((_, k) => places.some((row) => isOpen(row, k)))) return;
    const uniform = uniforms(CHUNK * repeats.length, seed, LEVELS, chunk, 2);
    for (const [k, each] of repeats.entries()) {
      const open = places.filter((row) => isOpen(row, k)), begin = before(sizes)[states[each.number]];
      if (!open.length) continue;
      const logits = network.logits(codec.free(known, known.categories));
      for (const row of open) {
        const apart = logits[row * all + begin] - logits[row * all + begin + each.code];
        const does = uniform[(first + row) * repeats.length + k] < 1 / (1 + Math.exp(apart));
        codec.repeats.decide(codec.row(known, row), each, does);
      }
      yield;
    }
  }

  /** Draws hidden ones in place (sfumato.samplers.unmasking, eq. 1); yields after each call. */
  private *categories(known: Known, { seed, chunk, first, rows, missingAllowed }: RowsAsked): Generator<void> {
    const { sizes, orders, missing } = this.codec.live, s = sizes.length, { categories } = known;
    if (categories.every((code, k) => code < sizes[k % s])) return;
    const uniform = uniforms(CHUNK * s, seed, LEVELS, chunk), begins = before(sizes), all = this.network.logitCount;
    for (let turn = 0; turn < Math.max(...orders.map((order) => order.length)); turn++) {
      // Row r of a chunk goes by order r modulo their number.
      const hidden = Array.from({ length: rows }, (_, row) =>
        (orders[(first + row) % orders.length][turn] ?? []).filter((k) => categories[row * s + k] === sizes[k]));
      if (!hidden.some((columns) => columns.length)) continue;
      const logits = this.network.logits(this.codec.free(known, categories));
      hidden.forEach((columns, row) => {
        for (const k of columns) {
          const own = logits.slice(row * all + begins[k], row * all + begins[k] + sizes[k]);
          if (!missingAllowed && missing[k] >= 0) own[missing[k]] = -Infinity;
          const may = this.together.allowed(categories.subarray(row * s, (row + 1) * s), k, missingAllowed ? [] : missing);
          may?.forEach((can, code) => { if (!can) own[code] = -Infinity; });
          categories[row * s + k] = chosen(own, uniform[(first + row) * s + k]);
        }
      });
      yield;
    }
  }
}

/** How many categories there are before those of each column. */
function before(sizes: number[]): number[] {
  return sizes.map((_, k) => sizes.slice(0, k).reduce((sum, size) => sum + size, 0));
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

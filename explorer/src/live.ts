// Rows of a table that this page draws itself, without a server.

import type { Engine } from "./engine";
import type { Packed } from "./payload";
import { CHUNK } from "./random";
import type { RowsDrawn } from "./rows";
import { encoded } from "./table_codec";
import type { Rows, TableHeader, Value } from "./tables_state";

/** What is to be drawn: rows that have some values, or fillings of one, in which no value is missing. */
export interface Here {
  seed: number;
  rows: number;
  values: ReadonlyMap<number, Value>;
  filling: boolean;
}

/** Rows of a task, a part of a chunk. */
const PART = 128;

/** The rows, the most network calls of any of them, the seconds, and columns whose value nothing was near. */
export async function drawHere(
  engine: Engine, run: Packed<TableHeader>, { seed, rows, values, filling }: Here,
): Promise<{ rows: Rows; calls: number; seconds: number; unlike: number[] }> {
  engine.cancel("rows");
  const started = performance.now(), known = encoded(values, run);
  const parts = Array.from({ length: Math.ceil(rows / PART) }, (_, k) => k * PART);
  const asked = parts.map((first, turn) => engine.ask("rows", "rows", {
    seed, known, missingAllowed: !filling, chunk: Math.floor(first / CHUNK), first: first % CHUNK, rows: Math.min(PART, rows - first),
  }, turn));
  const found = await Promise.all(asked);
  const columns = run.header.columns.map((column, k) => {
    const whole = joined(found, k, rows), value = values.get(k);
    // What was given is given back as it is, and not as its place in a cell.
    if (value === undefined) return whole;
    return column.categories ? whole.fill(value === null ? -1 : column.categories.indexOf(String(value)))
      : whole.fill(value === null ? NaN : Number(value));
  });
  const calls = Math.max(0, ...found.map((part) => part.calls));
  return { rows: { n: rows, columns }, calls, seconds: (performance.now() - started) / 1000, unlike: known.unlike };
}

function joined(parts: RowsDrawn[], k: number, rows: number): Float64Array | Int32Array {
  const whole = parts[0].columns[k] instanceof Int32Array ? new Int32Array(rows) : new Float64Array(rows);
  let at = 0;
  for (const { columns } of parts) {
    whole.set(columns[k], at);
    at += columns[k].length;
  }
  return whole;
}

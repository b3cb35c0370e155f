// Rows of a table that this page draws itself, without a server.

import type { Engine } from "./engine";
import type { Packed } from "./payload";
import { CHUNK } from "./random";
import { Said } from "./reasons";
import type { RowsDrawn } from "./rows";
import { TableCodec } from "./table_codec";
import type { Rows, TableHeader, Value } from "./tables_state";
import { words } from "./tables_text";
import { Together } from "./together";

/** What is to be drawn: rows that have some values, or fillings of one, in which no value is missing. */
export interface Here {
  seed: number;
  rows: number;
  values: ReadonlyMap<number, Value>;
  filling: boolean;
}

/** Rows of a task, a part of a chunk; and milliseconds after which those that there are are shown. */
const PART = 128, SOON = 400;

export interface Found {
  rows: Rows;
  /** The most network calls of any row. */
  calls: number;
  seconds: number;
  /** Columns whose value is like none that was seen. */
  unlike: number[];
}

/** The rows; the first of them are told as soon as they are there. */
export async function drawHere(
  engine: Engine, run: Packed<TableHeader>, { seed, rows, values, filling }: Here, tell: (some: Found) => void,
): Promise<Found> {
  engine.cancel("rows");
  const started = performance.now(), { known, unlike, broken } = new TableCodec(run).encoded(values);
  if (broken && !filling) throw new Said(() => words.value.breaks(broken.text));
  const against = filling ? [] : new Together(run).contradicted(known.categories);
  if (against.length) {
    const names = against.map((place) => run.header.columns[columnOf(place, run)].name);
    throw new Said(() => words.value.neverTogether(names.join(", ")));
  }
  const parts = Array.from({ length: Math.ceil(rows / PART) }, (_, k) => k * PART);
  const asked = parts.map((first, turn) => engine.ask("rows", "rows", {
    seed, known, missingAllowed: !filling, chunk: Math.floor(first / CHUNK), first: first % CHUNK, rows: Math.min(PART, rows - first),
  }, turn));
  // The first that is replaced tells of all: the others are not waited for.
  for (const each of asked) each.catch(() => undefined);
  const found: RowsDrawn[] = [];
  const soFar = (): Found => ({
    rows: joined(found, values, run), calls: Math.max(0, ...found.map((part) => part.calls)),
    seconds: (performance.now() - started) / 1000, unlike,
  });
  let told = started;
  for (const each of asked) {
    found.push(await each);
    if (found.length < asked.length && performance.now() - told > SOON) {
      tell(soFar());
      told = performance.now();
    }
  }
  return soFar();
}

/** The column that has the categories of a place. */
function columnOf(place: number, run: Packed<TableHeader>): number {
  return run.header.live!.parts.flatMap((part, k) => part.sizes.map(() => k))[place];
}

/** Parts one after the other; what was given is given back as it is, and not as its place in a cell. */
function joined(parts: RowsDrawn[], values: ReadonlyMap<number, Value>, run: Packed<TableHeader>): Rows {
  const columns = run.header.columns.map(({ categories }, k) => {
    const value = values.get(k), own = parts.map((part) => part.columns[k]);
    const n = own.reduce((sum, part) => sum + part.length, 0), whole = categories ? new Int32Array(n) : new Float64Array(n);
    if (value !== undefined) {
      return whole.fill(value === null ? (categories ? -1 : NaN) : categories ? categories.indexOf(String(value)) : Number(value));
    }
    let at = 0;
    for (const part of own) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  });
  return { n: columns[0].length, columns };
}

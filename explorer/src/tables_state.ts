// A table on the screen: its rows, what a person asks for, and what the model answers.

import { batch, computed, effect, signal, untracked } from "@preact/signals";

import { Replaced } from "./engine";
import { drawHere, type Found, type Here } from "./live";
import { Packed, type RunHeader } from "./payload";
import { type Reason, type Saying, sayingOf } from "./reasons";
import { type Answer, draw, type Draw, fitting, served } from "./server";
import type { Bound } from "./relations";
import type { Repeat } from "./repeats";
import { engine } from "./state";
import type { Part } from "./table_codec";

export interface Column {
  name: string;
  kind: "continuous" | "integer" | "date" | "categorical" | "ordinal" | "boolean" | "constant";
  /** Whether values may be missing. */
  missing: boolean;
  /** Of numbers, and of dates in milliseconds: the range seen, and the width of their grid, if any. */
  low?: number;
  high?: number;
  step?: number;
  /** Of categories: their text; those from `known` on stand in real rows only. */
  categories?: string[];
  known?: number;
}

export type Left = "drawn" | "conditions" | "fillings" | "columns";

/** What was drawn beforehand for a page without a server. */
export interface Stored {
  /** Each with as many rows, one condition after the other. */
  conditions: { column: number; value: Value }[];
  rows: number;
  /** Fillings of real rows, each with one column emptied, or none but those that are missing. */
  fillings: { row: number; column: number | null }[];
  draws: number;
  /** What had no place: how many, and of how many. */
  left: Partial<Record<Left, [number, number]>>;
  why?: Reason;
}

/** The model itself, for a page that draws its rows; see sfumato/runs/explorer/live.py. */
export interface Live {
  method: string;
  options: Record<string, number | string | boolean>;
  /** How many categories each column has that has some, and which of them means missing; -1: none. */
  sizes: number[];
  missing: number[];
  /** Of each number the place of the category that says whether it is there; -1: always. */
  states: number[];
  /** Columns of categories, round after round, in a few orders. */
  orders: number[][][];
  /** Columns of categories of which only some combinations occur; the codes are arrays. */
  together: number[][];
  parts: Part[];
  /** What rules make of numbers, and the codecs of their slacks, which are numbers after those of the columns. */
  bound: Bound;
  slacks: Part[];
  /** Columns that repeat others, each before the one that it repeats. */
  repeats: Repeat[];
}

export interface TableHeader extends RunHeader {
  columns: Column[];
  rules: string[];
  /** How many of the real rows, the first, were kept out of training. */
  heldout: number;
  hidden: string[];
  stored: Stored | null;
  live: Live | null;
}

/** Values of columns: numbers, NaN where missing; or places of categories, -1 where missing. */
export interface Rows {
  n: number;
  columns: (Float64Array | Int32Array)[];
}

/** Of a condition: a number, a category's text, milliseconds of a date, or missing. */
export type Value = number | string | null;

export interface Drawn {
  rows: Rows;
  calls: number;
  seconds: number;
  notes: string[];
  /** Of rows that this page drew: columns whose value is like none that was seen. */
  unlike: number[];
  /** Of a filling: the row as a file, and which cells were empty. */
  csv: string;
  empty: number[];
}

export type Mode = "draw" | "fill";

export const table = signal<Packed<TableHeader> | null>(null);
export const mode = signal<Mode>("draw");
/** Columns on the screen; -1: all of them, or no second one. */
export const first = signal(-1);
export const second = signal(-1);
export const conditions = signal<ReadonlyMap<number, { on: boolean; value: Value }>>(new Map());
export const count = signal(1000);
export const seed = signal(0);
export const row = signal(0);
export const emptied = signal<ReadonlySet<number>>(new Set());

export const drawn = signal<Drawn | null>(null);
export const filled = signal<Drawn | null>(null);
export const drawing = signal(false);
export const refusal = signal<Saying | null>(null);

export const FILLINGS = 100;

export const columns = computed(() => table.value?.header.columns ?? []);
export const real = computed(() => rowsOf("real"));
/** Rows of the run's own seed, without conditions. */
export const begun = computed(() => rowsOf("drawn"));
export const stored = computed(() => (served ? null : (table.value?.header.stored ?? null)));
/** Whether this page draws by itself. */
export const isLive = computed(() => !served && table.value?.header.live != null);

export const isNumeric = (column: Column) => column.categories === undefined;

function rowsOf(prefix: string): Rows | null {
  const held = table.value;
  return held?.has(`${prefix}/0`) ? taken(held, prefix, held.header.columns) : null;
}

function taken(held: Packed<TableHeader> | Packed<Answer>, prefix: string, of: Column[], from = 0, to?: number): Rows {
  const read = of.map((column, k) => {
    const name = `${prefix}/${k}`;
    return isNumeric(column) ? held.doubles(name).subarray(from, to) : held.integers(name).subarray(from, to);
  });
  return { n: read[0].length, columns: read };
}

/** Whether a row's value is missing. */
export function isMissing(value: number, column: Column): boolean {
  return isNumeric(column) ? Number.isNaN(value) : value < 0;
}

/** The conditions that are switched on, by column. */
export const given = computed(() => [...conditions.value].filter(([, { on }]) => on).map(([k, { value }]) => ({ k, value })));

/** A value as `--given` and Python take it. */
export function asked(value: Value, column: Column): number | string | null {
  return column.kind === "date" && typeof value === "number" ? isoDate(value) : value;
}

/** A date as text, without a time where there is none. */
export function isoDate(milliseconds: number): string {
  const text = new Date(milliseconds).toISOString().replace("Z", "");
  return text.endsWith("T00:00:00.000") ? text.slice(0, 10) : text.replace("T", " ").replace(/\.000$/, "");
}

/** Cells of the chosen row that are to be filled: those emptied, and those that were missing. */
export const empty = computed(() => {
  const rows = real.value;
  if (!rows) return [];
  return columns.value.flatMap((column, k) => (emptied.value.has(k) || isMissing(rows.columns[k][row.value], column) ? [k] : []));
});

/** Show a table; of the run on the screen, trained on or sent again, what was chosen is kept. */
export function open(bytes: ArrayBuffer): void {
  const found = new Packed<TableHeader>(bytes), before = table.peek();
  const which = (each: Packed<TableHeader> | null) =>
    JSON.stringify([each?.header.name, each?.header.folder, each?.header.columns.map(({ name, kind }) => [name, kind])]);
  const keep = which(found) === which(before);
  batch(() => {
    drawn.value = filled.value = null;
    refusal.value = null;
    if (!keep) {
      mode.value = "draw";
      first.value = second.value = -1;
      conditions.value = new Map();
      seed.value = found.header.seed;
      row.value = 0;
      emptied.value = new Set();
    }
    if (found.header.live) engine.load(bytes);
    table.value = found;
    if (!keep) count.value = begun.value?.n ?? 1000;
  });
}

/** Where a condition on a column begins: at the middle of what is there. */
export function usual(k: number): Value {
  const column = columns.value[k], rows = real.value ?? begun.value!;
  const there = Array.from(rows.columns[k]).filter((value) => !isMissing(value, column));
  if (stored.value) {
    const choices = choicesOf(k);
    return choices[isNumeric(column) ? choices.length >> 1 : 0] ?? null;
  }
  if (isNumeric(column)) {
    const middle = there.sort((a, b) => a - b)[there.length >> 1] ?? column.low!;
    return Math.min(Math.max(middle, column.low!), column.high!);
  }
  const counts = new Map<number, number>();
  for (const code of there) if (code < column.known!) counts.set(code, (counts.get(code) ?? 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1])[0];
  return column.categories![most?.[0] ?? 0];
}

/** Of a page without a server: the values of a column that rows were drawn for. */
export function choicesOf(k: number): Value[] {
  return (stored.value?.conditions ?? []).filter(({ column }) => column === k).map(({ value }) => value);
}

/** Set a condition. Without a server there is one at a time. */
export function setCondition(k: number, change: { on?: boolean; value?: Value }): void {
  const before = conditions.value.get(k) ?? { on: false, value: usual(k) };
  const after = { ...before, on: true, ...change };
  const others = [...conditions.value].map(([other, each]): [number, { on: boolean; value: Value }] =>
    [other, after.on && stored.value ? { ...each, on: false } : each]);
  conditions.value = new Map([...others.filter(([other]) => other !== k), [k, after]]);
}

/** Milliseconds that a change waits for the next one: a slider makes many. */
const PAUSE = 60;

let timer: ReturnType<typeof setTimeout> | undefined;
/** What was asked for last; an answer to anything before it is nobody's. */
let turn = 0;

function idle(): void {
  turn += 1;
  clearTimeout(timer);
  drawing.value = false;
  refusal.value = null;
}

/** What the server draws, or this page. */
async function found(message: Draw, here: Here, tell: (some: Omit<Drawn, "empty">) => void): Promise<Omit<Drawn, "empty">> {
  if (isLive.peek()) {
    const shown = (some: Found) => ({ ...some, notes: [], csv: "" });
    return shown(await drawHere(engine, table.peek()!, here, (some) => tell(shown(some))));
  }
  const of = columns.peek(), answer = await draw(message);
  const { calls, seconds, notes = [], csv = "" } = answer.header as Answer & { notes?: string[]; csv?: string };
  return { rows: taken(answer, "rows", of), calls, seconds, notes, unlike: [], csv };
}

/** Have it drawn, in a moment; `about` are the cells that it fills. What is refused leaves nothing. */
function ask(message: Draw, here: Here, take: (found: Drawn | null) => void, about: number[] = []): void {
  idle();
  const own = turn;
  drawing.value = true;
  timer = setTimeout(async () => {
    let said: Saying | null = null;
    try {
      const show = (some: Omit<Drawn, "empty">) => own === turn && take({ ...some, empty: about });
      show(await found(message, here, show));
    } catch (error) {
      if (error instanceof Replaced) return;
      said = sayingOf(error);
    }
    if (own !== turn) return;
    batch(() => {
      if (said) take(null);
      drawing.value = false;
      refusal.value = said;
    });
  }, PAUSE);
}

/** Of what was drawn beforehand, part number `at` of so many rows each. */
function storedPart(prefix: string, at: number, size: number, about: number[] = []): Drawn | null {
  if (at < 0) return null;
  const rows = taken(table.value!, prefix, columns.value, at * size, (at + 1) * size);
  return { rows, calls: 0, seconds: 0, notes: [], unlike: [], csv: "", empty: about };
}

function drawRows(of: Packed<TableHeader>): void {
  const values = given.value, held = stored.value;
  if (held) {
    idle();
    const is = (each: Stored["conditions"][0]) => values.some(({ k, value }) => each.column === k && each.value === value);
    drawn.value = storedPart("given", held.conditions.findIndex(is), held.rows);
  } else if (!values.length && count.value === begun.value?.n && seed.value === of.header.seed) {
    idle();
    drawn.value = null;
  } else {
    const named = values.map(({ k, value }) => [columns.value[k].name, asked(value, columns.value[k])]);
    const here = { seed: seed.value, rows: count.value, values: new Map(values.map(({ k, value }) => [k, value])), filling: false };
    ask({ type: "draw_rows", seed: seed.value, rows: count.value, given: Object.fromEntries(named) }, here, (found) => (drawn.value = found));
  }
}

/** The values of a real row, but for those of some columns. */
function valuesOf(row: number, without: number[]): Map<number, Value> {
  const rows = real.value!;
  return new Map(columns.value.flatMap((column, k): [number, Value][] => {
    const value = rows.columns[k][row];
    return without.includes(k) ? [] : [[k, isNumeric(column) ? value : column.categories![value]]];
  }));
}

function fillRow(): void {
  const cells = empty.value, held = stored.value, ticked = [...emptied.value];
  if (held) {
    idle();
    const at = held.fillings.findIndex((each) => each.row === row.value && each.column === (ticked[0] ?? null));
    filled.value = storedPart("filled", at, held.draws, cells);
  } else if (!cells.length) {
    idle();
    filled.value = null;
  } else {
    const names = ticked.map((k) => columns.value[k].name);
    const here = { seed: seed.value, rows: FILLINGS, values: valuesOf(row.value, cells), filling: true };
    ask({ type: "fill_row", seed: seed.value, draws: FILLINGS, row: row.value, columns: names }, here, (found) => (filled.value = found), cells);
  }
}

// A change of what is asked for draws it.
effect(() => {
  const of = table.value;
  if (!of || fitting.value) return untracked(idle);
  if (mode.value === "draw") drawRows(of);
  else fillRow();
});

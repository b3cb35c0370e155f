// Bins, ticks and numbers of a table's plots.

import type { Column, Rows } from "./tables_state";
import { isMissing, isNumeric, isoDate } from "./tables_state";
import { words } from "./tables_text";
import { language } from "./text";

/** A number as people read it. */
export function shown(value: number): string {
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7)) return value.toExponential(2);
  return new Intl.NumberFormat(language.value === "zh" ? "zh-CN" : "en", {
    maximumSignificantDigits: Math.abs(value) >= 1000 ? Math.ceil(Math.log10(Math.abs(value) + 1)) : 4, useGrouping: "min2",
  } as Intl.NumberFormatOptions).format(value);
}

/** A number to the last digit that a person may have typed. */
function exactly(value: number): string {
  return String(Number(value.toPrecision(12)));
}

/** A share of the rows. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)}%`;
}

const DAY = 86_400_000;

/** A value of a column of numbers or dates, exactly. */
export function valueText(value: number, column: Column): string {
  return column.kind === "date" ? isoDate(Math.round(value)) : exactly(value);
}

/** A few round values within a range, with their text. */
export function ticksOf(low: number, high: number, column: Column, most = 5): { at: number; text: string }[] {
  if (!(high > low)) return [{ at: low, text: valueText(low, column) }];
  if (column.kind === "date") return dateTicks(low, high, most);
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough)!;
  if (column.kind === "integer") step = Math.max(step, 1);
  const begin = Math.ceil(low / step - 1e-9), found = [];
  for (let k = begin; k * step <= high + 1e-9 * step; k++) {
    const at = Number((k * step).toPrecision(12));
    found.push({ at, text: shown(at) });
  }
  return found;
}

/** Beginnings of years, months, days or hours. */
function dateTicks(low: number, high: number, most: number): { at: number; text: string }[] {
  const span = high - low, from = new Date(low);
  const found: { at: number; text: string }[] = [];
  const months = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200].find((k) => span / (k * 30.4 * DAY) <= most);
  if (span > 60 * DAY && months) {
    for (let k = Math.floor(from.getUTCMonth() / months) * months; ; k += months) {
      const years = months >= 12 ? Math.floor(from.getUTCFullYear() / (months / 12)) * (months / 12) : from.getUTCFullYear();
      const at = months >= 12 ? Date.UTC(years + k / 12, 0) : Date.UTC(years, k);
      if (at > high) break;
      if (at >= low) found.push({ at, text: new Date(at).toISOString().slice(0, months >= 12 ? 4 : 7) });
    }
    return found;
  }
  const step = [1 / 24, 1 / 4, 1, 2, 7, 14, 28].map((k) => k * DAY).find((k) => span / k <= most) ?? span / most;
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) {
    found.push({ at, text: new Date(at).toISOString().slice(5, step < DAY ? 16 : 10).replace("T", " ") });
  }
  return found;
}

/** A column's values that are there, sorted. */
export function sortedValues(sets: (Rows | null)[], k: number): number[] {
  return sets.flatMap((rows) => Array.from(rows?.columns[k] ?? []).filter((value) => !Number.isNaN(value))).sort((a, b) => a - b);
}

/** Edges of common bins; the outermost hold what lies beyond, where a few values lie far off. */
export function edgesOf(sets: (Rows | null)[], k: number, column: Column, most = 28): number[] {
  const values = sortedValues(sets, k);
  if (!values.length) return [0, 1];
  const at = (share: number) => values[Math.round(share * (values.length - 1))];
  let [low, high] = [values[0], values[values.length - 1]];
  if (high - low > 1.5 * (at(0.99) - at(0.01)) && at(0.99) > at(0.01)) [low, high] = [at(0.01), at(0.99)];
  const step = column.step ?? 0;
  if (step && (high - low) / step < 2 * most) {
    const each = step * Math.ceil(((high - low) / step + 1) / most);
    const bins = Math.floor((high - low) / each + 1e-9) + 1;
    return Array.from({ length: bins + 1 }, (_, b) => low - step / 2 + b * each);
  }
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  return Array.from({ length: most + 1 }, (_, b) => low + ((high - low) * b) / most);
}

/** Shares of the rows in bins, and of those without a value. */
export function histogram(rows: Rows, k: number, edges: number[]): { shares: number[]; missing: number } {
  const shares = new Array<number>(edges.length - 1).fill(0), width = (edges[edges.length - 1] - edges[0]) / shares.length;
  let missing = 0;
  for (const value of rows.columns[k]) {
    if (Number.isNaN(value)) missing += 1;
    else shares[Math.min(Math.max(Math.floor((value - edges[0]) / width), 0), shares.length - 1)] += 1;
  }
  const n = Math.max(rows.n, 1);
  return { shares: shares.map((each) => each / n), missing: missing / n };
}

/** A bar of categories: its text, and which codes it stands for. */
export interface Bar {
  text: string;
  codes: Set<number>;
  missing?: boolean;
  others?: boolean;
}

/** The commonest categories, the others together, and a bar for missing values where there are any. */
export function barsOf(sets: (Rows | null)[], k: number, column: Column, most: number, words: { missing: string; others: string }): Bar[] {
  const counts = new Map<number, number>();
  let missing = column.missing;
  for (const rows of sets) {
    for (const code of rows?.columns[k] ?? []) {
      if (code < 0) missing = true;
      else counts.set(code, (counts.get(code) ?? 0) + 1 / rows!.n);
    }
  }
  const all = column.categories!.map((_, code) => code);
  const common = [...all].sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0));
  const kept = all.length > most ? common.slice(0, most - 1) : column.kind === "categorical" ? common : all;
  if (column.kind !== "categorical") kept.sort((a, b) => a - b);
  const bars: Bar[] = kept.map((code) => ({ text: column.categories![code], codes: new Set([code]) }));
  if (kept.length < all.length) {
    const rest = new Set(all.filter((code) => !kept.includes(code)));
    bars.push({ text: words.others, codes: rest, others: true });
  }
  if (missing) bars.push({ text: words.missing, codes: new Set([-1]), missing: true });
  return bars;
}

/** Shares of the rows in bars. */
export function sharesOf(rows: Rows, k: number, bars: Bar[]): number[] {
  const place = new Map(bars.flatMap((bar, b) => [...bar.codes].map((code): [number, number] => [code, b])));
  const shares = new Array<number>(bars.length).fill(0);
  for (const code of rows.columns[k]) {
    const b = place.get(code);
    if (b !== undefined) shares[b] += 1 / rows.n;
  }
  return shares;
}

/** Text of at most so many letters' width; a Chinese one is two wide. */
export function cut(text: string, width: number): string {
  let used = 0, kept = "";
  for (const letter of text) {
    used += letter.codePointAt(0)! > 0x2e80 ? 2 : 1;
    if (used > width) return `${kept.slice(0, -1)}…`;
    kept += letter;
  }
  return text;
}

/** A column in numbers: of numbers the mean and the spread, of categories the commonest. */
export function summaryOf(rows: Rows, k: number, column: Column): { middle: string; spread: string; missing: number } {
  const values = Array.from(rows.columns[k]), there = values.filter((value) => !isMissing(value, column));
  const missing = values.length ? 1 - there.length / values.length : 0;
  if (!there.length) return { middle: "–", spread: "–", missing };
  if (isNumeric(column)) {
    const mean = there.reduce((sum, value) => sum + value, 0) / there.length;
    const spread = Math.sqrt(there.reduce((sum, value) => sum + (value - mean) ** 2, 0) / there.length);
    if (column.kind === "date") return { middle: isoDate(mean).slice(0, 10), spread: `${shown(Number((spread / DAY).toPrecision(3)))} ${words.value.days}`, missing };
    return { middle: shown(Number(mean.toPrecision(4))), spread: shown(Number(spread.toPrecision(3))), missing };
  }
  const counts = new Map<number, number>();
  for (const code of there) counts.set(code, (counts.get(code) ?? 0) + 1);
  const [code, times] = [...counts].sort((a, b) => b[1] - a[1])[0];
  return { middle: column.categories![code], spread: percent(times / values.length), missing };
}

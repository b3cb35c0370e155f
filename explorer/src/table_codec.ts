// Between a table's own values and what its network knows, as sfumato.data.codecs.table has it.

import { NumberCodec, type NumericPart } from "./number_codec";
import type { Packed } from "./payload";
import { Repeats } from "./repeats";
import { ABSENT, FREE, KNOWN, Relations, type Rule } from "./relations";
import type { Condition } from "./table_network";
import type { Live, TableHeader, Value } from "./tables_state";

export interface CategoricalPart {
  sizes: number[];
  categories: number;
}

export type Part = NumericPart | CategoricalPart;

export const isNumber = (part: Part): part is NumericPart => "masses" in part;

/** What is known of rows, one after the other. */
export interface Known {
  /** z of the columns and the slacks of rules; NaN where there is none, or it is not known. */
  numbers: Float64Array;
  /** Codes; a column's number of them where not known. */
  categories: Int32Array;
  /** Of the numeric columns the values themselves, dates from their origin; NaN as above. */
  exact: Float64Array;
}

export class TableCodec {
  readonly live: Live;
  /** Of the numeric columns and then the slacks. */
  readonly numbers: NumberCodec[];
  /** Columns with numbers. */
  readonly numeric: number[];
  readonly relations: Relations;
  readonly repeats: Repeats;
  private readonly placed = new Map<string, number>();

  constructor(private readonly run: Packed<TableHeader>) {
    const live = (this.live = run.header.live!);
    const codec = (part: Part, name: string) =>
      new NumberCodec(part as NumericPart, run.doubles(`${name}/knots`), run.doubles(`${name}/heights`));
    this.numeric = live.parts.flatMap((part, k) => (isNumber(part) ? [k] : []));
    const slacks = live.slacks.map((part, k) => codec(part, `slack/${k}`));
    this.numbers = [...this.numeric.map((k) => codec(live.parts[k], `codec/${k}`)), ...slacks];
    this.relations = new Relations(live.bound, this.numbers);
    this.repeats = new Repeats(live, this.numbers);
  }

  /**
   * What a row's values tell; of columns that are not named nothing is known. `unlike` are columns whose value
   * lies beyond those that were seen or in a gap, for which the nearest seen stands; `broken` a rule.
   */
  encoded(values: ReadonlyMap<number, Value>): { known: Known; unlike: number[]; broken?: Rule } {
    const { live, run, numbers: codecs, relations } = this, { parts, sizes, missing, states } = live;
    const numbers = new Float64Array(codecs.length).fill(NaN), categories = Int32Array.from(sizes);
    const exact = new Float64Array(states.length).fill(NaN), unlike: number[] = [];
    let number = 0, category = 0;
    parts.forEach((part, k) => {
      const value = values.get(k), size = part.sizes[0] ?? 0;
      if (value !== undefined) {
        if (!isNumber(part)) {
          const code = value === null ? part.categories : run.header.columns[k].categories!.indexOf(String(value));
          // Rows kept out of training may have a category that the model does not know.
          const known = value === null ? code < size : code < part.categories;
          if (size && known) categories[category] = code;
        } else if (value === null) {
          if (size && missing[category] >= 0) categories[category] = missing[category];
        } else {
          const own = Number(value) * part.milli, mass = part.masses.indexOf(own);
          exact[number] = own - live.bound.origins[number];
          if (size) categories[category] = mass + 1;
          if (mass < 0) {
            const { z, isUnlike } = codecs[number].placed(own);
            numbers[number] = z;
            if (isUnlike) unlike.push(k);
          }
        }
      }
      if (isNumber(part)) number += 1;
      category += part.sizes.length;
    });
    for (const rule of live.bound.rules) {
      const slack = rule.slack < 0 ? NaN : relations.slackOf(rule, exact);
      if (!Number.isNaN(slack)) numbers[rule.slack] = codecs[rule.slack].placed(slack).z;
    }
    const known = { numbers, categories, exact };
    this.repeats.compare(known);
    return { known, unlike, broken: relations.broken(exact) };
  }

  /** What the network is told of the numbers of rows beside their categories, and which of them it is to draw. */
  free(known: Known, categories: Int32Array): Condition {
    const { sizes } = this.live, c = this.numbers.length, rows = known.numbers.length / (c || 1);
    const told = known.numbers.slice(), isKnown = new Uint8Array(told.length), isNoisy = new Uint8Array(told.length);
    for (let row = 0; row < rows; row++) {
      const own = told.subarray(row * c, (row + 1) * c), there = this.there(categories.subarray(row * sizes.length, (row + 1) * sizes.length));
      const roles = this.relations.any ? this.bound(own, this.row(known, row), there) : stateOf(own, there);
      own.forEach((z, j) => {
        isKnown[row * c + j] = Number(!Number.isNaN(z));
        isNoisy[row * c + j] = Number(roles[j] === FREE);
      });
    }
    return { known: told, isKnown, isNoisy, categories };
  }

  /** The roles of a row's numbers; in z what follows from known ones is told, and what is left out is not. */
  private bound(z: Float64Array, known: Known, there: Uint8Array): Uint8Array {
    const { exact } = known, state = stateOf(exact, there), roles = this.relations.roles(state);
    const values = this.relations.completed(exact.map((v, j) => (state[j] === KNOWN ? v : NaN)), state);
    // Where it is open whether a number repeats another it is told.
    const open = this.live.repeats.filter((each) => this.repeats.isOpen(known, each)).map(({ number }) => number);
    z.forEach((own, j) => {
      if (roles[j] !== KNOWN) z[j] = open.includes(j) ? own : NaN;
      else if (Number.isNaN(own) && !Number.isNaN(values[j])) z[j] = this.placedOf(values[j], j);
    });
    return roles;
  }

  /** A row of what is known, in place. */
  row({ numbers, categories, exact }: Known, row: number): Known {
    const { live: { sizes, states }, numbers: { length: c } } = this;
    const part = <A extends Float64Array | Int32Array>(of: A, size: number) => of.subarray(row * size, (row + 1) * size) as A;
    return { numbers: part(numbers, c), categories: part(categories, sizes.length), exact: part(exact, states.length) };
  }

  /** The z of a value that follows from others; the same values come again and again. */
  private placedOf(value: number, j: number): number {
    const key = `${j} ${value}`, slack = j >= this.live.states.length;
    const own = !slack ? this.relations.ownOf(value, j) : this.numbers[j].part.whole ? Math.round(value) : value;
    const found = this.placed.get(key) ?? this.numbers[j].placed(own).z;
    this.placed.set(key, found);
    return found;
  }

  /** Which numeric columns have a number beside a row's categories. */
  private there(categories: Int32Array): Uint8Array {
    return Uint8Array.from(this.live.states, (state) => Number(state < 0 || categories[state] === 0));
  }

  /** Values as the page has them: numbers, milliseconds of dates, places of categories. */
  decoded({ numbers, categories, exact }: Known): (Float64Array | Int32Array)[] {
    const { parts, sizes, states, missing } = this.live, c = this.numbers.length, s = sizes.length;
    const n = exact.length / states.length || categories.length / s;
    let number = 0, category = 0;
    const columns = parts.map((part) => {
      const size = part.sizes[0] ?? 0, at = category, code = (row: number) => (size ? categories[row * s + at] : 0);
      category += part.sizes.length;
      if (!isNumber(part)) return Int32Array.from({ length: n }, (_, row) => (code(row) < part.categories ? code(row) : -1));
      const j = number++;
      return Float64Array.from({ length: n }, (_, row) => {
        if (size && missing[at] >= 0 && code(row) === missing[at]) return NaN;
        return code(row) > 0 ? part.masses[code(row) - 1] : this.numbers[j].valueOf(numbers[row * c + j]);
      });
    });
    const own = this.numeric.map((k) => columns[k] as Float64Array);
    if (this.relations.any) this.hold(own, { numbers, categories, exact });
    this.repeats.repeat(own, categories);
    own.forEach((values, j) => values.forEach((v, row) => { values[row] = v / this.numbers[j].part.milli; }));
    return columns;
  }

  /** Computes in place what rules leave out of the columns' values. */
  private hold(columns: Float64Array[], drawn: Known): void {
    const { live: { states, bound }, relations } = this, count = states.length;
    const inRules = new Set(bound.groups.flatMap((group) => group.slots.slice(0, group.columns)));
    for (let row = 0; row < columns[0].length; row++) {
      const { numbers, categories, exact } = this.row(drawn, row), there = this.there(categories);
      const known = exact.map((v, j) => (there[j] ? v : NaN));
      const state = stateOf(known, there), completed = relations.completed(known, state);
      const x = completed.map((v, j) => {
        if (!Number.isNaN(v)) return v;
        return j < count ? columns[j][row] - bound.origins[j] : this.numbers[j].valueOf(numbers[j]);
      });
      const values = relations.dependent(x, state, known);
      for (const j of inRules) if (there[j]) columns[j][row] = relations.ownOf(values[j], j);
    }
  }
}

/** What numbers of a row are, see `relations`, that are known where they are not NaN. */
function stateOf(known: Float64Array, there: Uint8Array): Uint8Array {
  return there.map((is, j) => (!is ? ABSENT : Number.isNaN(known[j]) ? FREE : KNOWN));
}

// Numbers that rules bind to each other, as sfumato.data.codecs.relations has them: in each row some are
// left out, and computed from the others by eq. (2) there. Dates are counted from an origin.

import { columnsOf, inverse, type Matrix, pseudoInverse, rank } from "./matrices";
import { even, type NumberCodec, rounded } from "./number_codec";

/** What a number is in a row: missing or left out, known, to be drawn. */
export const ABSENT = 0, KNOWN = 1, FREE = 2;

/** Rounds in which free numbers are moved; and of numbers that should be integers, and of ranges. */
const ROUNDS = 8, NEAR = 1e-6;

/** Columns that rules bind together, and the slacks of these: the slots. */
export interface Group {
  /** Their places among all numbers; the first `columns` are columns. */
  slots: number[];
  columns: number;
  matrix: Matrix;
  constants: number[];
  /** Columns beside which a rule says nothing new. */
  unless: boolean[][];
  /** Columns, those first that are left out first. */
  first: number[];
  steps: number[];
  low: number[];
  high: number[];
  /** Below what no slack may come. */
  least: number[];
}

/** sum of coefficient times column = constant, or >= constant. */
export interface Rule {
  text: string;
  columns: number[];
  coefficients: number[];
  constant: number;
  equal: boolean;
  strict: boolean;
  /** Of an equation how far apart its sums are, as its computed column is rounded. */
  step: number;
  /** Of an order its place among all numbers; -1: it has none. */
  slack: number;
  /** Columns beside which it says nothing new. */
  unless: number[];
}

export interface Bound {
  groups: Group[];
  rules: Rule[];
  origins: number[];
}

/** A matrix, and what is added. */
interface Sum {
  matrix: Matrix;
  added: number[];
}

interface Pattern {
  roles: number[];
  /** Slots that the known columns determine, and those that are left out. */
  determined: number[];
  fromKnown: Sum;
  dependent: number[];
  fromFree: Sum;
}

export class Relations {
  private readonly patterns: Map<string, Pattern>[];
  private readonly senses: number[];

  constructor(readonly bound: Bound, private readonly codecs: NumberCodec[]) {
    this.patterns = bound.groups.map(() => new Map());
    this.senses = bound.origins.map((_, place) => sense(bound.rules, place));
  }

  get any(): boolean {
    return this.bound.groups.length > 0;
  }

  /** Of each number of a row whether it is absent, known or free, where its columns are so. */
  roles(state: Uint8Array): Uint8Array {
    const found = new Uint8Array(this.codecs.length);
    found.set(state);
    this.each(state, ({ slots }, { roles }) => slots.forEach((slot, k) => { found[slot] = roles[k]; }));
    return found;
  }

  /** Known values of columns and those that they determine, of all numbers; NaN elsewhere. */
  completed(known: Float64Array, state: Uint8Array): Float64Array {
    const found = new Float64Array(this.codecs.length).fill(NaN);
    found.set(known);
    this.each(state, ({ slots }, { determined, fromKnown }) => {
      const values = sums(fromKnown, slots.map((slot) => (Number.isNaN(found[slot]) ? 0 : found[slot])));
      determined.forEach((k, j) => { found[slots[k]] = values[j]; });
    });
    known.forEach((value, place) => {
      if (Number.isNaN(value) && !Number.isNaN(found[place])) found[place] = this.onGrid(found[place], place, 0);
    });
    return found;
  }

  /** Eq. (2): the columns, those that are left out computed from the others; known ones as they are. */
  dependent(x: Float64Array, state: Uint8Array, known: Float64Array): Float64Array {
    const found = x.map((v) => (Number.isNaN(v) ? 0 : v));
    this.each(state, (group, pattern) => {
      if (!pattern.dependent.length) return;
      const values = moved(group, pattern, group.slots.map((slot) => found[slot]));
      for (const k of pattern.dependent) {
        const place = group.slots[k];
        if (k < group.columns) values[k] = this.onGrid(values[k], place, this.senses[place]);
      }
      group.slots.forEach((slot, k) => { found[slot] = values[k]; });
    });
    return found.subarray(0, known.length).map((v, k) => (Number.isNaN(known[k]) ? v : known[k]));
  }

  /** A value of a column as its type has it, counted from 0 again. */
  ownOf(x: number, place: number): number {
    return this.codecs[place].part.whole ? even(x) + this.bound.origins[place] : x;
  }

  /** The first rule that known values break; NaN breaks nothing. */
  broken(known: Float64Array): Rule | undefined {
    return this.bound.rules.find((rule) => {
      const { total, rounding } = this.difference(rule, known);
      if (rule.equal) return Math.abs(total) > rule.step / 2 + rounding;
      return rule.strict ? total <= 0 : total < -rounding;
    });
  }

  /** How far a rule's sum is above the constant, as `rules.slack_column` has it; NaN where it does not hold or apply. */
  slackOf(rule: Rule, known: Float64Array): number {
    const { total, rounding } = this.difference(rule, known);
    if (rule.unless.some((place) => !Number.isNaN(known[place])) || total < -rounding) return NaN;
    if (Math.abs(total) <= rounding) return 0;
    const places = rule.columns.map((place, k) => {
      const dates = this.codecs[place].part.milli > 1;
      return dates ? 0 : decimals(known[place]) + decimals(rule.coefficients[k]);
    });
    const most = Math.max(...places, Number.isFinite(decimals(rule.constant)) ? decimals(rule.constant) : 0);
    return Number.isFinite(most) ? rounded(total, most) : total;
  }

  /** A rule's sum less its constant, and how far floats may be off. */
  private difference({ columns, coefficients, constant }: Rule, known: Float64Array) {
    const terms = columns.map((place, k) =>
      coefficients[k] * (known[place] + (columns.length === 1 ? this.bound.origins[place] : 0)));
    const largest = Math.max(Math.abs(constant), ...terms.map(Math.abs));
    const total = terms.slice(1).reduce((sum, v) => sum + v, terms[0] - constant);
    return { total, rounding: 16 * Number.EPSILON * terms.length * largest };
  }

  /** The nearest value on a column's grid; away from the rule's other side if far from it. */
  private onGrid(x: number, place: number, side: number): number {
    const { low, step, digits, milli } = this.codecs[place].part, from = low - this.bound.origins[place];
    if (!step) return x;
    const at = (x - from) / step;
    let near = even(at);
    if (side && Math.abs(at - near) > NEAR) near = side > 0 ? Math.ceil(at) : Math.floor(at);
    const value = near * step + from;
    return milli > 1 || digits === null ? value : rounded(value, digits);
  }

  private each(state: Uint8Array, take: (group: Group, pattern: Pattern) => void): void {
    this.bound.groups.forEach((group, k) => {
      const own = group.slots.slice(0, group.columns).map((slot) => state[slot]), key = own.join("");
      let pattern = this.patterns[k].get(key);
      if (!pattern) this.patterns[k].set(key, (pattern = patternOf(group, own)));
      take(group, pattern);
    });
  }
}

/** Eq. (2) of the rules whose columns are all there. */
function patternOf(group: Group, state: number[]): Pattern {
  const { columns, slots, matrix, constants, unless } = group, all = slots.map((_, k) => k);
  const isActive = matrix.map((row, r) =>
    state.every((each, k) => (each === ABSENT ? !row[k] : !unless[r][k])));
  const a = matrix.filter((_, r) => isActive[r]), c = constants.filter((_, r) => isActive[r]);
  const there = all.map((k) => (k < columns ? state[k] !== ABSENT : a.some((row) => row[k])));
  const known = all.map((k) => k < columns && state[k] === KNOWN);
  const open = all.filter((k) => there[k] && !known[k]);
  // A number is determined where its unit vector is a combination of the equations.
  const solve = pseudoInverse(columnsOf(a, open), open.length);
  const certain = open.map((k, i) => Math.abs(a.reduce((sum, row, r) => sum + solve[i][r] * row[k], 0) - 1) < 1e-5);
  const determined = open.filter((_, i) => certain[i]);
  const fromKnown = sumOf(solve.filter((_, i) => certain[i]), a, c, known);
  for (const k of determined) known[k] = true;
  const { dependent, fromFree } = leftOut(group, a, c, there, known);
  const roles = all.map((k) => (!there[k] || dependent.includes(k) ? ABSENT : known[k] ? KNOWN : FREE));
  return { roles, determined, fromKnown, dependent, fromFree };
}

/** What is left out, unknown ones first: the first choice that keeps all grids. */
function leftOut(
  { slots, columns, first, steps }: Group, a: Matrix, c: number[], there: boolean[], known: boolean[],
): { dependent: number[]; fromFree: Sum } {
  const slacks = slots.map((_, k) => k).slice(columns), drawn = there.map((is, k) => is && !known[k]);
  const choices = [[...first, ...slacks], [first[0], ...slacks, ...first.slice(1)]].map((order) => {
    const dependent: number[] = [], here = order.filter((k) => there[k]);
    for (const k of [...here.filter((k) => !known[k]), ...here.filter((k) => known[k])]) {
      if (dependent.length < a.length && rank(columnsOf(a, [...dependent, k])) > dependent.length) dependent.push(k);
    }
    const others = there.map((is, k) => is && !dependent.includes(k));
    return { dependent, fromFree: sumOf(inverse(columnsOf(a, dependent)), a, c, others) };
  });
  const moving = drawn.some(Boolean) ? drawn : there;
  // Steps of the free numbers must be steps of those left out.
  const keepsGrids = ({ dependent, fromFree: { matrix } }: { dependent: number[]; fromFree: Sum }) =>
    dependent.every((k, row) => !steps[k] || matrix[row].every((of, j) => {
      const cells = (of * steps[j]) / steps[k];
      return !of || !moving[j] || (steps[j] && Math.abs(cells - Math.round(cells)) <= NEAR);
    }));
  return choices.find(keepsGrids) ?? choices[0];
}

/** solve (constants - a x), of the x at some places; integers where only rounding is between. */
function sumOf(solve: Matrix, a: Matrix, c: number[], places: boolean[]): Sum {
  const whole = (v: number) => (Math.abs(v - even(v)) < 1e-9 ? even(v) : v);
  const dot = (row: number[], of: (r: number) => number) => row.reduce((sum, v, r) => sum + v * of(r), 0);
  return {
    matrix: solve.map((row) => places.map((is, k) => (is ? whole(-dot(row, (r) => a[r][k])) : 0))),
    added: solve.map((row) => dot(row, (r) => c[r])),
  };
}

function sums({ matrix, added }: Sum, x: number[]): number[] {
  return matrix.map((row, r) => row.reduce((sum, v, k) => (v ? sum + v * x[k] : sum), added[r]));
}

/** Eq. (2), free numbers moved where a column would leave its range or a slack be negative. */
function moved({ columns, steps, low, high, least }: Group, pattern: Pattern, values: number[]): number[] {
  const { roles, dependent, fromFree } = pattern, x = [...values];
  const compute = () => sums(fromFree, x).forEach((v, j) => { x[dependent[j]] = v; });
  const floor = x.map((_, k) => (k < columns ? -Infinity : least[k - columns]));
  compute();
  for (const [from, to] of [[low, high], [floor, x.map(() => Infinity)]]) {
    const within = (v: number, k: number) => Math.min(Math.max(v, from[k]), to[k]);
    for (let round = 0; round < ROUNDS; round++) {
      let any = false;
      dependent.forEach((k, row) => {
        const enough = NEAR * 1e-3 * (1 + Math.abs(x[k]));
        let gap = within(x[k], k) - x[k];
        fromFree.matrix[row].forEach((of, j) => {
          if (!of || roles[j] !== FREE || !(Math.abs(gap) > enough)) return;
          let want = gap / of;
          // Whole steps, rather too far.
          if (steps[j]) want = Math.sign(want) * Math.ceil(Math.abs(want) / steps[j] - NEAR) * steps[j];
          const shift = within(x[j] + want, j) - x[j];
          x[j] += shift;
          gap -= shift * of;
          any = true;
        });
        compute();
      });
      if (!any) break;
    }
  }
  return x;
}

/** Up or down, to the side where the slacks of a column's rules grow; 0 where equations bind it. */
function sense(rules: Rule[], place: number): number {
  const senses = new Set(rules.filter(({ slack, columns }) => slack >= 0 && columns.includes(place))
    .map(({ columns, coefficients }) => Math.sign(coefficients[columns.indexOf(place)])));
  return senses.size === 1 ? [...senses][0] : 0;
}

/** How many decimals a number has, up to six; infinitely many where these do not do. */
function decimals(value: number): number {
  for (let d = 0; d < 7; d++) if (rounded(value, d) === value) return d;
  return Infinity;
}

// Columns that often repeat another, as sfumato.data.codecs.repeats has them: where one does it has a category in
// place of a number. Where its number is known and the other is not, it is open whether it does.

import { even, type NumberCodec } from "./number_codec";
import type { Known } from "./table_codec";
import type { Live } from "./tables_state";

/** A column that repeats another, by places among the numbers; `code` is the category that says so. */
export interface Repeat {
  number: number;
  other: number;
  code: number;
}

export class Repeats {
  constructor(private readonly live: Live, private readonly codecs: NumberCodec[]) {}

  /** Of what a row tells: whether its numbers repeat others, or that it is open. */
  compare({ numbers, categories, exact }: Known): void {
    const { repeats, states, sizes } = this.live;
    for (const each of repeats) {
      const own = exact[each.number], other = exact[each.other], state = states[each.number];
      if (categories[state] !== 0) continue;
      if (Number.isNaN(other)) {
        if (this.hasValue(each.other, own)) categories[state] = sizes[state];
      } else if (this.areEqual(own, other, each.number)) {
        categories[state] = each.code;
        numbers[each.number] = NaN;
      }
    }
  }

  /** Whether it is open that a number of a row, which is known, repeats the other. */
  isOpen({ numbers, categories }: Known, { number }: Repeat): boolean {
    const { states, sizes } = this.live;
    return categories[states[number]] === sizes[states[number]] && !Number.isNaN(numbers[number]);
  }

  /** What is known of a row, in place, where a number of which that was open does, or does not, repeat the other. */
  decide(row: Known, each: Repeat, does: boolean): void {
    const { numbers, categories, exact } = row, { repeats, states, sizes } = this.live;
    const value = this.valueRepeated(row, each);
    const alike = repeats.filter((more) =>
      more.other === each.other && more !== each && this.isOpen(row, more) && this.valueRepeated(row, more) === value);
    categories[states[each.number]] = does ? each.code : 0;
    if (!does) {
      // What has the same value does not repeat the other either.
      for (const more of alike) categories[states[more.number]] = 0;
      return;
    }
    const other = this.codecs[each.other], mass = other.part.masses.indexOf(value), state = states[each.other];
    numbers[each.number] = NaN;
    numbers[each.other] = mass < 0 ? other.placed(value).z : NaN;
    exact[each.other] = 0; // no rule binds it: it is enough that it is known
    if (state >= 0) {
      // Whether the other repeats a third in turn is open.
      const isOpen = mass < 0 && repeats.some((third) => third.number === each.other);
      categories[state] = isOpen ? sizes[state] : mass + 1;
    }
    this.compareOpen(row);
  }

  /** The values of columns, in place, that repeat others. */
  repeat(columns: Float64Array[], categories: Int32Array): void {
    const { repeats, states, sizes } = this.live;
    for (const { number, other, code } of [...repeats].reverse()) {
      columns[number].forEach((_, row) => {
        if (categories[row * sizes.length + states[number]] !== code) return;
        columns[number][row] = this.codecs[number].nearest(columns[other][row]);
      });
    }
  }

  /** Decides what is open though both are known by now. */
  private compareOpen(row: Known): void {
    const { numbers, categories } = row, { repeats, states, sizes } = this.live;
    for (const each of repeats) {
      const state = states[each.other], code = state >= 0 && categories[state] < sizes[state] ? categories[state] : 0;
      if (!this.isOpen(row, each) || (Number.isNaN(numbers[each.other]) && code === 0)) continue;
      const other = this.codecs[each.other], value = other.part.masses[code - 1] ?? other.valueOf(numbers[each.other]);
      const same = this.place(this.valueRepeated(row, each), each.other) === this.place(value, each.other);
      categories[states[each.number]] = same ? each.code : 0;
      if (same) numbers[each.number] = NaN;
    }
  }

  /** The other's value where a number that is known repeats it. */
  private valueRepeated({ numbers }: Known, { number, other }: Repeat): number {
    return this.codecs[other].nearest(this.codecs[number].valueOf(numbers[number]));
  }

  /** Whether another column may have a value. */
  private hasValue(number: number, value: number): boolean {
    const codec = this.codecs[number], near = codec.nearest(value);
    const isUnlike = !codec.part.masses.includes(near) && codec.placed(near).isUnlike;
    return this.place(near, number) === this.place(value, number) && !isUnlike;
  }

  /** Whether a column's value is the other's, and no frequent one of its own. */
  private areEqual(own: number, other: number, number: number): boolean {
    const at = this.place(own, number);
    return at === this.place(other, number) && !this.codecs[number].part.masses.some((mass) => this.place(mass, number) === at);
  }

  /** What can be compared: the place on a column's grid, where it has one. */
  private place(value: number, number: number): number {
    const { step, milli } = this.codecs[number].part;
    return step && milli === 1 ? even(value / step) : value;
  }
}

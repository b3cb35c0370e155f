// Categories of which only some combinations occur (sfumato.data.codecs.combinations).

import type { Packed } from "./payload";
import type { TableHeader } from "./tables_state";

export class Together {
  private readonly sizes: number[];
  private readonly lists: { places: number[]; codes: Int32Array }[];

  constructor(run: Packed<TableHeader>) {
    const { sizes, together } = run.header.live!;
    this.sizes = sizes;
    this.lists = together.map((places, k) => ({ places, codes: run.integers(`together/${k}`) }));
  }

  /** Which categories of a column may stand beside a row's known ones; null: all, as where nothing fits these. */
  allowed(row: Int32Array, column: number, barred: number[]): boolean[] | null {
    const list = this.lists.find(({ places }) => places.includes(column));
    if (!list) return null;
    const found = new Array<boolean>(this.sizes[column]).fill(false), at = list.places.indexOf(column);
    for (const codes of this.fitting(list, row, barred)) found[codes[at]] = true;
    return found.some(Boolean) ? found : null;
  }

  /** Columns whose known categories stand together in no combination. */
  contradicted(row: Int32Array): number[] {
    const list = this.lists.find((each) => this.fitting(each, row, []).next().done);
    return list ? list.places.filter((place) => row[place] < this.sizes[place]) : [];
  }

  private *fitting({ places, codes }: { places: number[]; codes: Int32Array }, row: Int32Array, barred: number[]): Generator<Int32Array> {
    for (let from = 0; from < codes.length; from += places.length) {
      const one = codes.subarray(from, from + places.length);
      const fits = places.every((place, k) => (row[place] < this.sizes[place] ? row[place] === one[k] : barred[place] !== one[k]));
      if (fits) yield one;
    }
  }
}

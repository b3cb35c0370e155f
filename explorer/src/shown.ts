// The run on the screen, of whatever kind.

import { batch, signal } from "@preact/signals";

import { OtherFormat, Packed, type RunHeader } from "./payload";
import * as pictures from "./pictures_state";
import { saidHere, sayingOf } from "./reasons";
import * as points from "./state";
import * as tables from "./tables_state";

/** What every run says of itself; none where no run is shown. */
export const run = signal<RunHeader | null>(null);

/** Show a run. One that is being fitted is shown again and again, and keeps what was chosen. */
export function open(bytes: ArrayBuffer, { keep = false } = {}): void {
  batch(() => {
    points.failure.value = null;
    try {
      const { header } = new Packed<RunHeader>(bytes);
      if (header.kind !== "points") points.payload.value = null;
      if (header.kind !== "table") tables.table.value = null;
      if (header.kind !== "images") pictures.close();
      if (header.kind === "points") points.open(bytes, { keep: keep && run.value?.kind === "points" });
      if (header.kind === "table") tables.open(bytes);
      if (header.kind === "images") pictures.open(bytes);
      run.value = header;
    } catch (error) {
      points.failure.value = sayingOf(error instanceof OtherFormat ? saidHere("otherFormat") : error);
    }
  });
}

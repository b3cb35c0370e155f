// A table on the screen.

import { signal } from "@preact/signals";

import { Packed, type RunHeader } from "./payload";

export const table = signal<Packed<RunHeader> | null>(null);

export function open(bytes: ArrayBuffer, { keep = false } = {}): void {
  if (!keep) table.value = null;
  table.value = new Packed(bytes);
}

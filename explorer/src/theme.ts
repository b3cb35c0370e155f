// Light or dark, as the system has it.

import { signal } from "@preact/signals";

const query = matchMedia("(prefers-color-scheme: dark)");

export const dark = signal(query.matches);
query.addEventListener("change", () => (dark.value = query.matches));

/** Whether movement is to be kept small. */
export const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

// What the page asks of its workers, and what they answer; typed once for both sides.

import type { Level } from "./payload";
import type { PicturesAsked, PicturesDrawn } from "./picture_drawer";
import type { RowsAsked, RowsDrawn } from "./rows";
import type { Options } from "./samplers";

/** Whose prediction: weights of the network, the few-step map, or the exact denoiser. */
export type Source = "averaged" | "last" | "few" | "exact";

/** At each level the network's error; the least possible, and the distance from it, where known. */
export interface Errors {
  network: number[];
  least: number[] | null;
  unlearned: number[] | null;
}

export interface Tasks {
  /** Rows of a chunk of samples on their way: states at every level, (levels, rows, dimension), as shown. */
  walk: {
    ask: {
      source: Source; method: string; options: Options; levels: Level[];
      seed: number; chunk: number; first: number; rows: number;
    };
    answer: { frames: Float32Array; milliseconds: number };
  };
  /** Where the flow leads from each point, by one step from a level to the next. */
  field: {
    ask: { source: Source; x: Float64Array; level: Level; next: Level };
    answer: { moved: Float64Array };
  };
  /** log q(x_t) of the exact distribution, or of the network's probability flow. */
  density: {
    ask: { source: Source; x: Float64Array; levels: Level[]; steps: number };
    answer: { logs: Float64Array };
  };
  /** Root mean squared errors of x_0 at each level, on real rows: see `Errors`. */
  errors: { ask: { source: Source; levels: Level[]; seed: number }; answer: Errors };
  /** Rows of a table. */
  rows: { ask: RowsAsked; answer: RowsDrawn };
  /** Pictures on their way from noise. */
  pictures: { ask: PicturesAsked; answer: PicturesDrawn };
  /** Energy distance between two sets of rows. */
  energy: { ask: { a: Float32Array; b: Float32Array }; answer: { distance: number } };
}

export type Kind = keyof Tasks;

export type Request = {
  [K in Kind]: { id: number; kind: K; ask: Tasks[K]["ask"] };
}[Kind];

export type ToWorker =
  | { load: ArrayBuffer }
  | { cancel: number }
  | Request;

export type FromWorker =
  | { id: number; answer: Tasks[Kind]["answer"] }
  /** So many pieces of the work are done; of pictures, states of the walk. */
  | { id: number; pieces: number }
  | { id: number; error: string };

/** The error of a worker whose memory cannot grow any more. */
export const NO_MEMORY = "the kernel has run out of memory";

// Pictures that this page draws itself, without a server.

import type { Engine } from "./engine";
import type { Packed } from "./payload";
import type { PicturesAsked } from "./picture_drawer";
import type { PicturesHeader, WalkHeader } from "./pictures_state";
import { classesOf, SHEET } from "./random";
import type { Known } from "./samplers";

/** What is to be drawn; of a filling the real picture's bytes, and where they are kept (0: made anew). */
export interface Here {
  pictures: number;
  seed: number;
  label: string | null;
  guidance: number;
  steps: number;
  byMap: boolean;
  kept?: { pixels: Uint8Array; known: Uint8Array };
}

export interface Found extends WalkHeader {
  /** How many there are so far; (stops, held, height, width, channels). */
  held: number;
  noisy: Uint8Array;
  clean: Uint8Array;
}

/** How many steps of all are done, in the mean over pictures, and how many seconds are left. */
export interface Progress {
  done: number;
  of: number;
  left: number;
}

/** Pictures of a task; the first is one, so that it is soon seen. */
const PART = 4;

/** The pictures; those that are there are told after every part, and how far it is after every step. */
export async function drawHere(
  engine: Engine, run: Packed<PicturesHeader>, here: Here, tell: (some: Found) => void, tellProgress: (now: Progress) => void,
): Promise<Found> {
  engine.cancel("pictures");
  const started = performance.now(), { pictures, seed, guidance, steps, byMap, kept } = here, live = run.header.live!;
  const classes = classesOfAll(run, here), known = kept && encoded(kept, run);
  const begins = [0, ...Array.from({ length: Math.ceil(pictures / PART) }, (_, k) => k * PART || 1)].filter((first) => first < pictures);
  const taken = begins.map(() => 0);
  const progress = () => {
    const done = taken.reduce((sum, each) => sum + each) / pictures, seconds = (performance.now() - started) / 1000;
    tellProgress({ done: Math.floor(done), of: steps, left: (seconds * (steps - done)) / done });
  };
  const asked = begins.map((begin, turn) => {
    const labels = classes.slice(begin, begins[turn + 1] ?? pictures).map((label) => (label < 0 ? (live.any ?? 0) : label));
    const ask: PicturesAsked = { seed, sheet: Math.floor(begin / SHEET), first: begin % SHEET, labels, guidance, steps, byMap, known };
    return engine.ask("pictures", "pictures", ask, turn, (states) => {
      // The first state is noise.
      taken[turn] = (states - 1) * labels.length;
      if (states > 1) progress();
    });
  });
  // The first that is replaced tells of all: the others are not waited for.
  for (const each of asked) each.catch(() => undefined);
  const parts: { noisy: Uint8Array; clean: Uint8Array }[] = [];
  for (const each of asked) {
    const { stops, noisy, clean, calls } = await each, moments = stops.length;
    const bytes = (values: Float32Array, from: number) => kept ? keptIn(shown(values, run), kept, from) : shown(values, run);
    const size = pixelsOf(run), rows = noisy.length / moments / sizeOf(run);
    // Noise covers the kept part, too, until the last stop.
    parts.push({ noisy: bytes(noisy, (moments - 1) * rows * size), clean: bytes(clean, 0) });
    const [all, predicted] = (["noisy", "clean"] as const).map((name) => joined(parts.map((part) => part[name]), moments));
    const found = {
      steps, stops, labels: namesOf(classes, run), seconds: (performance.now() - started) / 1000, calls,
      held: all.length / moments / size, noisy: all, clean: predicted,
    };
    if (found.held === pictures) return found;
    tell(found);
  }
  throw new Error("nothing is to be drawn");
}

/** The class of every picture, -1 for any. */
function classesOfAll(run: Packed<PicturesHeader>, { pictures, seed, label }: Here): Int32Array {
  const { classes } = run.header, found = new Int32Array(pictures).fill(label === null ? -1 : classes.indexOf(label));
  if (label !== null || !run.has("shares")) return found;
  for (let first = 0; first < pictures; first += SHEET) {
    found.set(classesOf(run.floats("shares"), seed, first / SHEET).subarray(0, pictures - first), first);
  }
  return found;
}

function namesOf(labels: Int32Array, run: Packed<PicturesHeader>): string[] | null {
  const { classes } = run.header;
  return classes.length ? Array.from(labels, (label) => classes[label] ?? "") : null;
}

/** Numbers of a picture as the network has it. */
function sizeOf({ header: { height, width, live } }: Packed<PicturesHeader>): number {
  return live!.network.channels * height * width;
}

/** Channels of a picture on the screen. */
export function channelsOf(run: Packed<PicturesHeader>): number {
  return run.header.live!.network.channels < 3 ? 1 : 3;
}

/** Bytes of a picture on the screen. */
function pixelsOf(run: Packed<PicturesHeader>): number {
  return channelsOf(run) * run.header.height * run.header.width;
}

/** The network's numbers as bytes for the eye (`ImageCodec.decode` and `visible`): one channel, or three. */
function shown(values: Float32Array, run: Packed<PicturesHeader>): Uint8Array {
  const { height, width, live } = run.header, { range: [low, high], integers, network } = live!;
  const area = height * width, channels = channelsOf(run), count = values.length / (area * network.channels);
  const found = new Uint8Array(count * area * channels);
  for (let k = 0; k < count; k++) {
    for (let c = 0; c < channels; c++) {
      for (let at = 0; at < area; at++) {
        const value = (values[(k * network.channels + c) * area + at] + 1) * ((high - low) / 2) + low;
        const decoded = Math.min(Math.max(integers ? Math.round(value) : value, low), high);
        found[(k * area + at) * channels + c] = Math.round((decoded - low) * (255 / (high - low)));
      }
    }
  }
  return found;
}

/** A picture's bytes and what is kept of it, as the network has them (`ImageCodec.encode`). */
function encoded({ pixels, known }: NonNullable<Here["kept"]>, run: Packed<PicturesHeader>): Known {
  const size = sizeOf(run), { channels } = run.header.live!.network, area = size / channels;
  const found = { x_0: new Float64Array(size), known: new Uint8Array(size) };
  for (let at = 0; at < area; at++) {
    for (let c = 0; c < channels; c++) {
      found.x_0[c * area + at] = Math.fround(Math.fround(pixels[at * channels + c] / 127.5) - 1);
      found.known[c * area + at] = known[at];
    }
  }
  return found;
}

/** Pictures with what is kept as it was, from a byte on. */
function keptIn(pictures: Uint8Array, { pixels, known }: NonNullable<Here["kept"]>, from: number): Uint8Array {
  const channels = pixels.length / known.length;
  for (let k = from; k < pictures.length; k++) {
    const at = k % pixels.length;
    if (known[Math.floor(at / channels)]) pictures[k] = pixels[at];
  }
  return pictures;
}

/** Parts of the same stops as one. */
function joined(parts: Uint8Array[], stops: number): Uint8Array {
  const found = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (let k = 0; k < stops; k++) {
    for (const part of parts) {
      const size = part.length / stops;
      found.set(part.subarray(k * size, (k + 1) * size), to);
      to += size;
    }
  }
  return found;
}

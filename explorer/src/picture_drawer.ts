// Pictures drawn and filled in by the page, as sfumato.models.gaussian has it, of the same noise.

import type { Denoiser } from "./denoisers";
import type { Kernel } from "./kernel";
import { type Level, levelsOf, logRatio, type Packed, type RunHeader } from "./payload";
import { Normals, SHEET } from "./random";
import { type Known, optionsOf, trajectory } from "./samplers";
import { UNet, type UNetHeader, type Weights } from "./unet";

/** The model itself, for a page that draws its pictures; see sfumato/runs/explorer/live_pictures.py. */
export interface LivePictures {
  network: UNetHeader;
  method: string;
  options: Record<string, number | string | boolean>;
  /** Numbers of steps whose levels are held. */
  steps: number[];
  /** Predictions are held between -clip and clip. */
  clip: number | null;
  /** Log-SNRs between which there is guidance. */
  interval: [number, number] | null;
  /** The number of any class; null for a network that takes none. */
  any: number | null;
  /** Values of black and white, and whether they are integers. */
  range: [number, number];
  integers: boolean;
}

export interface LiveHeader extends RunHeader {
  height: number;
  width: number;
  live?: LivePictures;
}

export interface PicturesAsked {
  seed: number;
  sheet: number;
  /** Of the sheet. */
  first: number;
  /** The network's number of each picture's class; zeros where it takes none. */
  labels: Int32Array;
  guidance: number;
  /** Steps of the sampler, or calls of the few-step map. */
  steps: number;
  byMap: boolean;
  /** What is known of every picture: (channels, height, width). */
  known?: Known;
}

/** Each (stops, pictures, channels, height, width), at unit scale. */
export interface PicturesDrawn {
  /** Steps that were taken before each stop, and the noise there. */
  stops: { step: number; alpha: number; sigma: number }[];
  /** As the sampler has the pictures, and as the network predicts them from there. */
  noisy: Float32Array;
  clean: Float32Array;
  calls: number;
}

/** The nearest integer, of two the even one, as Python rounds. */
function evenly(v: number): number {
  const nearest = Math.round(v);
  return Math.abs(nearest - v) === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}

/** Stops of a walk, noise and picture included. */
const STOPS = 17;

/** What draws the pictures of a run. */
export class PictureDrawer {
  private readonly networks = new Map<string, UNet>();

  constructor(private readonly kernel: Kernel, private readonly run: Packed<LiveHeader>) {}

  /** Yields between steps, and at last the pictures. */
  *draw(ask: PicturesAsked): Generator<PicturesDrawn | null> {
    const { run } = this, { live } = run.header, { method, options } = live!, { byMap, steps, first, labels } = ask;
    const levels = levelsOf(run, `${byMap ? "few" : "levels"}/${steps}`), last = levels.length - 1;
    const denoiser = new PictureDenoiser(this.network(byMap ? "few" : "network"), run.header, ask);
    const size = denoiser.dimension, rows = labels.length, normals = Normals.ofChunk(ask.seed, ask.sheet);
    const noise = () => normals.part(SHEET * size, first * size, (first + rows) * size);
    const known = ask.known && { x_0: repeated(ask.known.x_0, rows), known: repeated(ask.known.known, rows) };
    const count = Math.min(STOPS, last + 1);
    const stops = Array.from({ length: count }, (_, k) => evenly((last * k) / Math.max(count - 1, 1)));
    const [noisy, clean] = [0, 1].map(() => new Float32Array(stops.length * rows * size));
    const scale = Math.hypot(levels[0].alpha, levels[0].sigma), way = byMap ? "renoising" : method;
    let k = 0;
    for (const state of trajectory(denoiser, noise().map((v) => v * scale), levels, way, optionsOf(way, options), noise, known)) {
      const before = stops.indexOf(k - 1), here = stops.indexOf(k);
      if (before >= 0) clean.set(denoiser.predicted!, before * rows * size);
      const unit = k === last ? 1 : Math.hypot(levels[k].alpha, levels[k].sigma);
      if (here >= 0) noisy.set(state.map((v) => v / unit), here * rows * size);
      denoiser.from = levels[k++];
      yield null;
    }
    clean.set(noisy.subarray((stops.length - 1) * rows * size), (stops.length - 1) * rows * size);
    yield {
      stops: stops.map((step) => ({ step, alpha: levels[step].alpha, sigma: levels[step].sigma })), noisy, clean, calls: denoiser.calls,
    };
  }

  private network(name: string): UNet {
    const { run, kernel } = this, own = (key: string) => `${name}/${key}`;
    const weights: Weights = { has: (key) => run.has(own(key)), shape: (key) => run.shape(own(key)), floats: (key) => run.floats(own(key)) };
    const found = this.networks.get(name) ?? new UNet(kernel, run.header.live!.network, weights);
    this.networks.set(name, found);
    return found;
  }
}

/** E[x_0 given x_t] of pictures of some classes, guided (eq. 1 of sfumato.denoisers.guidance) and clipped. */
class PictureDenoiser implements Denoiser {
  readonly dimension: number;
  calls = 0;
  /** The level at which a step begins, and what was predicted there last. */
  from: Level | null = null;
  predicted: Float64Array | null = null;
  private readonly any: Int32Array | null;

  constructor(private readonly network: UNet, private readonly header: LiveHeader, private readonly ask: PicturesAsked) {
    const { any, network: { channels } } = header.live!;
    this.dimension = channels * header.height * header.width;
    this.any = any === null ? null : new Int32Array(ask.labels.length).fill(any);
  }

  predict(x: Float64Array, level: Level): Float64Array {
    const { any, ask: { guidance, byMap, labels } } = this, { clip } = this.header.live!;
    let x_0 = this.answer(x, level, labels);
    if (!byMap && guidance !== 1 && any && this.reaches(level)) {
      x_0 = this.answer(x, level, any).map((plain, k) => plain + guidance * (x_0[k] - plain));
    }
    if (!byMap && clip !== null) x_0 = x_0.map((v) => Math.min(Math.max(v, -clip), clip));
    if (level === this.from) this.predicted = x_0;
    return x_0;
  }

  private reaches(level: Level): boolean {
    const { interval } = this.header.live!, logSnr = 2 * logRatio(level);
    return !interval || (logSnr >= interval[0] && logSnr <= interval[1]);
  }

  private answer(x: Float64Array, level: Level, labels: Int32Array): Float64Array {
    const { height, width, live } = this.header, { channels, outputs } = live!.network, size = this.dimension;
    const scaled = Float32Array.from(x, (v) => level.cIn * v), own = this.any && labels;
    const found = this.network.answer(scaled, height, width, level.number, own), every = outputs / channels;
    this.calls += 1;
    // Where the variance is learned, too, it is the second half of the channels.
    return x.map((v, k) => level.cSkip * v + level.cOut * found[k + (every - 1) * size * Math.floor(k / size)]);
  }
}

function repeated<A extends Float64Array | Uint8Array>(one: A, times: number): A {
  const found = new (one.constructor as new (length: number) => A)(one.length * times);
  for (let k = 0; k < times; k++) found.set(one as never, k * one.length);
  return found;
}

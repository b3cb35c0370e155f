// What Python sends, as sfumato/runs/explorer/binary.py writes it; of points the run itself.

interface Packing {
  format: number;
  kind: "points" | "table" | "images" | "answer";
  arrays: Record<string, { dtype: "<f4" | "<f8" | "<i4" | "|u1"; shape: number[]; offset: number }>;
}

/** What every run says of itself. */
export interface RunHeader extends Packing {
  version: string;
  name: string;
  folder: string | null;
  seed: number;
}

const FORMAT = 1;

/** The bytes of base64; a loop, as `Uint8Array.from` takes 30 times as long. */
export function decoded(text: string): Uint8Array<ArrayBuffer> {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let k = 0; k < letters.length; k++) bytes[k] = letters.charCodeAt(k);
  return bytes;
}

/** What was made by a version whose files this page does not know. */
export class OtherFormat extends Error {}

/** A header and its arrays, read in place. */
export class Packed<H extends Packing> {
  readonly header: H;
  private readonly start: number;

  constructor(readonly bytes: ArrayBuffer) {
    const length = new DataView(bytes).getUint32(0, true);
    this.header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
    if (this.header.format !== FORMAT) {
      throw new OtherFormat();
    }
    this.start = 4 + length;
  }

  has(name: string): boolean {
    return name in this.header.arrays;
  }

  /** Names of arrays under a prefix, without it. */
  under(prefix: string): string[] {
    const names = Object.keys(this.header.arrays).filter((name) => name.startsWith(prefix));
    return names.map((name) => name.slice(prefix.length));
  }

  shape(name: string): number[] {
    return this.described(name).shape;
  }

  floats(name: string): Float32Array {
    return this.read(Float32Array, name);
  }

  doubles(name: string): Float64Array {
    return this.read(Float64Array, name);
  }

  integers(name: string): Int32Array {
    return this.read(Int32Array, name);
  }

  pixels(name: string): Uint8Array<ArrayBuffer> {
    return this.read(Uint8Array, name);
  }

  private read<A>(type: new (bytes: ArrayBuffer, at: number, length: number) => A, name: string): A {
    const { shape, offset } = this.described(name);
    return new type(this.bytes, this.start + offset, product(shape));
  }

  private described(name: string) {
    const found = this.header.arrays[name];
    if (!found) throw new Error(`this run has no ${name}`);
    return found;
  }
}

export interface Sampling {
  sampler: string;
  grid: string;
  steps: number;
  options: Record<string, number | string | boolean>;
  weights: "averaged" | "last";
  few: number;
}

interface Header extends RunHeader {
  columns: string[];
  mean: number[];
  scale: number[];
  network: { name: "vector-mlp" | "step-mlp"; width: number; layers: number };
  /** The candidate answers of the few-step map, if there is one. */
  branches: number;
  sampling: Sampling;
  rows: number | null;
  /** The run's own. */
  schedule: string;
  /** Others that can be walked, and the log-SNR of their noisiest and cleanest level. */
  schedules: Record<string, [number, number]>;
  /** How many deviations over the mean of real sets chance reaches. */
  chance: number;
  exact: "distribution" | "training rows" | null;
}

/** A noise level: scales of signal and noise, the network's number, and its three scalings. */
export interface Level {
  alpha: number;
  sigma: number;
  number: number;
  cIn: number;
  cSkip: number;
  cOut: number;
}

/** A run of points. */
export class Payload extends Packed<Header> {
  private shown: number | null = null;

  /** Coordinates of a point. */
  get dimension(): number {
    return this.header.columns.length;
  }

  /** Root mean square of the data as the network sees them: 1 where they are standardised. */
  private spread(): number {
    if (!this.has("rows/real")) return 1;
    const rows = this.floats("rows/real");
    return Math.sqrt(rows.reduce((sum, v) => sum + v * v, 0) / rows.length) || 1;
  }

  /** What x_t is divided by to be shown: the cloud has the data's own spread at every level. */
  displayScale({ alpha, sigma }: Level): number {
    this.shown ??= this.spread();
    return Math.hypot(alpha, sigma / this.shown);
  }

  /** Noise levels, noisiest first, the clean one last. */
  levels(name: string): Level[] {
    return levelsOf(this, name);
  }
}

/** Noise levels of any run, noisiest first, the clean one last. */
export function levelsOf(run: Packed<Packing>, name: string): Level[] {
  const numbers = run.doubles(name), [count] = run.shape(name);
  return Array.from({ length: count }, (_, k) => {
    const [alpha, sigma, number, cIn, cSkip, cOut] = numbers.subarray(6 * k, 6 * k + 6);
    return { alpha, sigma, number, cIn, cSkip, cOut };
  });
}

function product(shape: number[]): number {
  return shape.reduce((before, size) => before * size, 1);
}

/** log(alpha/sigma), infinite where clean. */
export function logRatio(level: Level): number {
  return Math.log(level.alpha / level.sigma);
}

// The perceptron of sfumato.networks.table_mlp, and the denoiser of the numbers of rows
// (sfumato.denoisers.table): what it adds to the best linear estimate.

import { Comparisons } from "./compared";
import type { Denoiser } from "./denoisers";
import { Block, type Kernel } from "./kernel";
import { Layer, ROWS } from "./layer";
import type { Level, Packed } from "./payload";
import type { TableHeader } from "./tables_state";

/** The number of a level with no signal. */
const FARTHEST = -30;

/** Of rows, one after the other: which numbers are known and which are noisy, and all categories. */
export interface Condition {
  known: Float64Array;
  isKnown: Uint8Array;
  isNoisy: Uint8Array;
  categories: Int32Array;
}

export class TableNetwork {
  readonly numbers: number;
  readonly width: number;
  readonly logitCount: number;
  private readonly input: Layer;
  private readonly blocks: { norm: Norm; first: Layer; second: Layer }[];
  private readonly norm: Norm;
  private readonly output: Layer;
  private readonly toLogits: Layer;
  private readonly array: (key: string) => Float32Array;
  private readonly directions: Block;
  private readonly features: number;
  private readonly offsets: number[];
  private readonly x: Block;
  private readonly fourier: Block;
  private readonly inputs: Block;
  private readonly h: Block;
  private readonly z: Block;
  private readonly a: Block;
  private readonly answers: Block;
  private readonly comparisons: Comparisons | null;

  constructor(private readonly kernel: Kernel, run: Packed<TableHeader>, prefix: string) {
    const { sizes, states, slacks } = run.header.live!, array = (this.array = (key: string) => run.floats(`${prefix}/${key}`));
    const layer = (key: string) => {
      const [inputs, outputs] = run.shape(`${prefix}/${key}.weight`);
      return new Layer(kernel, array(`${key}.weight`), array(`${key}.bias`), inputs, outputs);
    };
    const norm = (key: string) => new Norm(array(`${key}.weight`), array(`${key}.bias`));
    const c = (this.numbers = states.length + slacks.length);
    this.comparisons = Comparisons.of(run);
    this.logitCount = sizes.reduce((sum, size) => sum + size, 0);
    this.input = layer("input_proj");
    this.width = this.input.outputs;
    const depth = Object.keys(run.header.arrays).filter((name) => name.startsWith(`${prefix}/blocks.`) && name.endsWith(".linear_1.weight")).length;
    this.blocks = Array.from({ length: depth }, (_, k) => ({
      norm: norm(`blocks.${k}.norm`), first: layer(`blocks.${k}.linear_1`), second: layer(`blocks.${k}.linear_2`),
    }));
    this.norm = norm("norm_out");
    this.output = layer("output_proj");
    this.toLogits = layer("category_logits");
    this.directions = Block.of(kernel, array("directions"));
    this.features = c ? this.directions.length / (2 * c) : 0;
    this.offsets = sizes.map((_, k) => sizes.slice(0, k).reduce((sum, size) => sum + size + 1, 0));
    this.x = new Block(kernel, ROWS * 2 * c);
    this.fourier = new Block(kernel, ROWS * 2 * (c + this.features));
    this.inputs = new Block(kernel, ROWS * this.input.inputs);
    this.h = new Block(kernel, ROWS * this.width);
    this.z = new Block(kernel, ROWS * this.width);
    this.a = new Block(kernel, ROWS * this.width);
    this.answers = new Block(kernel, ROWS * Math.max(this.output.outputs, this.toLogits.outputs));
  }

  /**
   * What it adds to each noisy number, in units of the estimate's error: `(rows, numbers)`.
   *
   * `scaled`: the noisy numbers; `estimate`: the best linear one; `residual`: what is new in each, or nothing.
   */
  numbersOf(
    scaled: Float64Array, number: number, condition: Condition, estimate: Float64Array, residual: Float64Array | null,
  ): Float64Array {
    const c = this.numbers, found = new Float64Array(scaled.length);
    const noise = this.noiseOf(number), gain = this.product(noise, "linear_gain", c), skip = this.array("linear_skip.weight");
    this.each(scaled, noise, condition, estimate, residual, (first, rows, values) => {
      this.output.times(this.a, this.answers);
      const answers = this.answers.view, to = this.output.outputs;
      for (let row = 0; row < rows; row++) {
        for (let j = 0; j < c; j++) {
          const at = (first + row) * c + j;
          if (!condition.isNoisy[at]) continue;
          let linear = 0;
          for (let i = 0; i < 2 * c; i++) linear += values[row * 2 * c + i] * skip[i * c + j];
          found[at] = answers[row * to + j] + linear * gain[j];
        }
      }
    });
    return found;
  }

  /** The logits of all categories beside what is known, no number noisy: `(rows, sum of sizes)`. */
  logits(beside: Condition): Float64Array {
    const condition = { ...beside, isNoisy: new Uint8Array(beside.isNoisy.length) };
    const rows = condition.known.length / this.numbers || condition.categories.length / this.offsets.length;
    const found = new Float64Array(rows * this.logitCount), nothing = new Float64Array(condition.known.length);
    this.each(nothing, this.noiseOf(FARTHEST), condition, nothing, nothing, (first, count) => {
      this.toLogits.times(this.a, this.answers);
      const answers = this.answers.view, to = this.toLogits.outputs;
      for (let row = 0; row < count; row++) {
        for (let j = 0; j < this.logitCount; j++) found[(first + row) * this.logitCount + j] = answers[row * to + j];
      }
    });
    return found;
  }

  /** Sines and cosines of how noisy rows are. */
  private noiseOf(number: number): Float32Array {
    const frequencies = this.array("frequencies"), half = frequencies.length, found = new Float32Array(2 * half);
    frequencies.forEach((frequency, k) => {
      const angle = Math.fround(Math.fround(number) * frequency);
      [found[k], found[half + k]] = [Math.sin(angle), Math.cos(angle)];
    });
    return found;
  }

  /** A small layer of one row. */
  private product(x: Float32Array, key: string, outputs: number): Float32Array {
    const weight = this.array(`${key}.weight`), found = Float32Array.from(this.array(`${key}.bias`));
    for (let i = 0; i < x.length; i++) for (let j = 0; j < outputs; j++) found[j] += x[i] * weight[i * outputs + j];
    return found;
  }

  /** The last hidden layer, normalised, of a few rows at a time, in `a`. */
  private each(
    x: Float64Array, noise: Float32Array, condition: Condition, estimate: Float64Array, residual: Float64Array | null,
    take: (first: number, rows: number, values: Float32Array) => void,
  ): void {
    const { kernel, numbers: c, width, features, offsets } = this, s = offsets.length;
    const total = s ? condition.categories.length / s : x.length / c, size = this.input.inputs;
    const shift = this.product(noise, "noise_proj", width), embedding = this.array("category_embedding.weight");
    const z = estimate.map((v, k) => (condition.isKnown[k] ? condition.known[k] : v));
    const compared = this.comparisons?.of(z, c, condition), pairs = this.comparisons?.count ?? 0;
    for (let first = 0; first < total; first += ROWS) {
      const rows = Math.min(ROWS, total - first), values = this.x.view, inputs = this.inputs.view;
      inputs.fill(0);
      values.fill(0);
      for (let row = 0; row < rows; row++) {
        for (let j = 0; j < c; j++) {
          const at = (first + row) * c + j, to = row * size + 2 * c + j;
          values[row * 2 * c + j] = condition.isNoisy[at] ? x[at] : 0;
          values[row * 2 * c + c + j] = condition.isKnown[at] ? condition.known[at] : 0;
          inputs[to] = condition.isNoisy[at];
          inputs[to + c] = condition.isKnown[at];
          if (residual) inputs[row * size + 4 * c + 2 * features + j] = residual[at];
        }
        if (compared) inputs.set(compared.subarray((first + row) * pairs, (first + row + 1) * pairs), row * size + 5 * c + 2 * features);
      }
      if (c) {
        kernel.fourier(this.x.at, ROWS, 2 * c, this.directions.at, features, this.fourier.at);
        const fourier = this.fourier.view, stride = 2 * (c + features);
        for (let row = 0; row < rows; row++) {
          inputs.set(fourier.subarray(row * stride, row * stride + 2 * c), row * size);
          inputs.set(fourier.subarray(row * stride + 2 * c, (row + 1) * stride), row * size + 4 * c);
        }
      }
      this.input.times(this.inputs, this.h);
      const h = this.h.view;
      for (let row = 0; row < rows; row++) {
        const own = h.subarray(row * width, (row + 1) * width);
        for (let j = 0; j < width; j++) own[j] += shift[j];
        for (let k = 0; k < s; k++) {
          const from = (condition.categories[(first + row) * s + k] + offsets[k]) * width;
          for (let j = 0; j < width; j++) own[j] += embedding[from + j];
        }
      }
      for (const block of this.blocks) {
        block.norm.of(this.h, this.a, width);
        block.first.times(this.a, this.z);
        kernel.silu(this.z.at, this.a.at, ROWS * width, false);
        block.second.times(this.a, this.z);
        const z = this.z.view;
        for (let k = 0; k < h.length; k++) h[k] += z[k];
      }
      this.norm.of(this.h, this.a, width);
      take(first, rows, values);
    }
  }
}

/** A layer norm. */
class Norm {
  constructor(private readonly weight: Float32Array, private readonly bias: Float32Array) {}

  of(from: Block, to: Block, width: number): void {
    const x = from.view, out = to.view;
    for (let row = 0; row < x.length; row += width) {
      let mean = 0, square = 0;
      for (let j = 0; j < width; j++) mean += x[row + j];
      mean /= width;
      for (let j = 0; j < width; j++) square += (x[row + j] - mean) ** 2;
      const scale = 1 / Math.sqrt(square / width + 1e-5);
      for (let j = 0; j < width; j++) out[row + j] = (x[row + j] - mean) * scale * this.weight[j] + this.bias[j];
    }
  }
}

/** E[x_0 given x_t] of the noisy numbers of rows of which something is known; of others nothing. */
export class TableDenoiser implements Denoiser {
  readonly dimension: number;
  private readonly correlations: Float64Array | null;
  calls = 0;

  constructor(private readonly network: TableNetwork, run: Packed<TableHeader>, private readonly condition: Condition) {
    this.dimension = network.numbers;
    this.correlations = run.has("correlations") ? run.doubles("correlations") : null;
  }

  predict(x: Float64Array, level: Level): Float64Array {
    const { condition, correlations } = this;
    this.calls += 1;
    const scaled = x.map((v) => level.cIn * v);
    if (!correlations) {
      const answer = this.network.numbersOf(scaled, level.number, condition, x, null);
      return answer.map((v, k) => level.cSkip * x[k] + level.cOut * v);
    }
    const { mean, std, residual } = this.posterior(x, level, correlations);
    const answer = this.network.numbersOf(scaled, level.number, condition, mean, residual);
    return answer.map((v, k) => (condition.isNoisy[k] ? mean[k] + std[k] * v : level.cSkip * x[k]));
  }

  /** Equations (1) to (3) of sfumato.denoisers.correlated; of rows that know the same numbers (1) is one. */
  private posterior(x: Float64Array, { alpha, sigma }: Level, correlations: Float64Array) {
    const c = this.dimension, { known, isKnown, isNoisy } = this.condition, n = x.length / c;
    const mean = new Float64Array(x.length), std = new Float64Array(x.length), residual = new Float64Array(x.length);
    const ofPattern = new Map<string, Float64Array>(), exact = 1e8;
    for (let row = 0; row < n; row++) {
      const own = row * c, pattern = Array.from({ length: c }, (_, j) => (isNoisy[own + j] ? 1 : isKnown[own + j] ? 2 : 0));
      const key = pattern.join("");
      let covariance = ofPattern.get(key);
      if (!covariance) {
        covariance = conditioned(correlations, pattern.map((kind) => [0, (alpha / sigma) ** 2, exact][kind]), c);
        ofPattern.set(key, covariance);
      }
      for (let j = 0; j < c; j++) {
        let sum = 0;
        for (let i = 0; i < c; i++) {
          if (pattern[i]) sum += covariance[j * c + i] * (pattern[i] === 1 ? (alpha / sigma ** 2) * x[own + i] : known[own + i] * exact);
        }
        const variance = Math.max(covariance[j * c + j], 0), fresh = Math.max(sigma ** 2 - alpha ** 2 * variance, 1e-12);
        mean[own + j] = sum;
        std[own + j] = Math.sqrt(variance);
        residual[own + j] = pattern[j] === 1 ? (x[own + j] - alpha * sum) / Math.sqrt(fresh) : 0;
      }
    }
    return { mean, std, residual };
  }
}

function conditioned(correlations: Float64Array, precision: number[], c: number): Float64Array {
  const found = Float64Array.from(correlations);
  for (let j = 0; j < c; j++) {
    if (!precision[j]) continue;
    const column = Float64Array.from({ length: c }, (_, i) => found[i * c + j]);
    const scale = precision[j] / (1 + precision[j] * column[j]);
    for (let a = 0; a < c; a++) for (let b = 0; b < c; b++) found[a * c + b] -= scale * column[a] * column[b];
  }
  return found;
}

// E[x_0 given x_t]: a fitted network's, and the exact one of a set of points.

import { Block, type Kernel } from "./kernel";
import { packed, ROWS, wide } from "./layer";
import type { Level, Payload } from "./payload";

/** x_0 for each row of x_t, `(rows, dimension)`; and the trace of its Jacobian where asked for. */
export interface Denoiser {
  readonly dimension: number;
  predict(x: Float64Array, level: Level, traces?: Float64Array): Float64Array;
}

interface Layer {
  weight: Block;
  bias: Float32Array;
  inputs: number;
}

/**
 * The perceptrons of sfumato.networks.mlp, VectorMLP and StepMLP, and the few-step map that is one of
 * them with several candidate answers, of which the likeliest counts (sfumato.networks.branches).
 *
 * A derivative of the output along each coordinate is carried beside it (forward mode), where the
 * trace of the Jacobian is asked for.
 */
export class NetworkDenoiser implements Denoiser {
  readonly dimension: number;
  private readonly branches: number;
  /** The numbers of an answer: of each candidate, then the logits of all. */
  private readonly outputs: number;
  private readonly width: number;
  private readonly layers: Layer[];
  private readonly output: Layer;
  private readonly vector: VectorParts | null;
  private readonly embeddings: Float32Array[];
  private readonly embedded: number;
  private readonly bias: Block;
  private readonly none: Block;
  private readonly inputs: Block;
  private readonly inputSlopes: Block;
  private readonly z: Block;
  private readonly h: Block;
  private readonly tangents: Block[];
  private readonly slopes: Block;
  private readonly answers: Block;

  constructor(private readonly kernel: Kernel, payload: Payload, weights: string) {
    const { name, width, layers } = payload.header.network;
    const prefix = `network/${weights}/`;
    const array = (key: string) => payload.floats(prefix + key);
    this.dimension = payload.dimension;
    this.branches = weights === "few" ? payload.header.branches : 1;
    this.outputs = this.branches === 1 ? this.dimension : this.branches * (this.dimension + 1);
    this.width = wide(width);
    const first = name === "vector-mlp" ? ["input_proj"] : [];
    const hidden = Array.from({ length: layers }, (_, k) => `hidden.${k}`);
    this.layers = [...first, ...hidden].map((key) => {
      const inputs = payload.shape(`${prefix}${key}.weight`)[0];
      // The inputs of a hidden layer are the padded outputs of the one before.
      const padded = key === "input_proj" || (name === "step-mlp" && key === "hidden.0");
      return this.layer(array(`${key}.weight`), array(`${key}.bias`), inputs, width, padded ? inputs : this.width);
    });
    this.output = this.layer(
      array("output_proj.weight"), array("output_proj.bias"), width, this.outputs, this.width,
    );
    this.vector = name === "vector-mlp" ? new VectorParts(kernel, payload, prefix, this.outputs) : null;
    this.embeddings = name === "vector-mlp" ? [] : hidden.map((_, k) => array(`step_embeddings.${k}.weight`));
    this.embedded = width;
    const features = this.layers[0].inputs;
    const widest = Math.max(this.width, wide(this.outputs));
    this.bias = new Block(kernel, widest);
    this.none = new Block(kernel, widest);
    this.inputs = new Block(kernel, ROWS * features);
    this.inputSlopes = new Block(kernel, ROWS * features);
    this.z = new Block(kernel, ROWS * this.width);
    this.h = new Block(kernel, ROWS * this.width);
    this.tangents = Array.from({ length: this.dimension }, () => new Block(kernel, ROWS * this.width));
    this.slopes = new Block(kernel, ROWS * this.width);
    this.answers = new Block(kernel, ROWS * wide(this.outputs));
  }

  private layer(
    weight: Float32Array, bias: Float32Array, inputs: number, outputs: number, padded: number,
  ): Layer {
    const shift = new Float32Array(wide(outputs));
    shift.set(bias);
    return { weight: packed(this.kernel, weight, inputs, outputs, padded), bias: shift, inputs: padded };
  }

  predict(x: Float64Array, level: Level, traces?: Float64Array): Float64Array {
    const d = this.dimension, n = x.length / d, x_0 = new Float64Array(x.length);
    const shifts = this.shifts(level);
    for (let start = 0; start < n; start += ROWS) {
      const rows = Math.min(ROWS, n - start), padded = 4 * Math.ceil(rows / 4);
      const scaled = new Float32Array(padded * d);
      for (let k = 0; k < rows * d; k++) scaled[k] = level.cIn * x[start * d + k];
      const { answers, divergence } = this.forward(scaled, padded, shifts, traces !== undefined);
      for (let k = 0; k < rows * d; k++) {
        x_0[start * d + k] = level.cSkip * x[start * d + k] + level.cOut * answers[k];
      }
      if (traces) {
        for (let k = 0; k < rows; k++) {
          traces[start + k] = d * level.cSkip + level.cOut * level.cIn * divergence[k];
        }
      }
    }
    return x_0;
  }

  /** What the noise adds to each layer, and the gain of the linear skip. */
  private shifts(level: Level): Float32Array[] {
    if (this.vector) return this.vector.shifts(level.number);
    const size = this.embedded;
    return this.embeddings.map((table) => table.subarray((level.number - 1) * size, level.number * size));
  }

  private forward(
    scaled: Float32Array, rows: number, shifts: Float32Array[], traced: boolean,
  ): { answers: Float32Array; divergence: Float64Array } {
    const { kernel, width, vector } = this, count = rows * width;
    const divergence = new Float64Array(traced ? rows : 0);
    if (vector) vector.features(scaled, rows, this.inputs);
    else this.inputs.view.set(scaled);
    this.layers.forEach((layer, k) => {
      const bias = this.bias.view, residual = vector !== null && k > 0;
      bias.set(layer.bias);
      shifts[k].forEach((shift, j) => (bias[j] += shift));
      const times = (from: number, shift: number) =>
        kernel.linear(from, layer.weight.at, shift, this.z.at, rows, layer.inputs, width);
      times(k ? this.h.at : this.inputs.at, this.bias.at);
      if (vector) kernel.silu(this.z.at, this.h.at, count, residual);
      else kernel.relu(this.z.at, this.h.at, count);
      if (!traced) return;
      (vector ? kernel.silu_slope : kernel.relu_slope)(this.z.at, this.slopes.at, count);
      this.tangents.forEach((tangent, axis) => {
        if (k === 0) this.setInputSlopes(axis, rows);
        times(k ? tangent.at : this.inputSlopes.at, this.none.at);
        kernel.chain(this.z.at, this.slopes.at, tangent.at, count, residual);
      });
    });
    const { output } = this, gain = shifts[this.layers.length];
    const answer = (from: number, shift: number) => {
      kernel.linear(from, output.weight.at, shift, this.answers.at, rows, width, wide(this.outputs));
      return this.answers.view;
    };
    this.bias.view.set(output.bias);
    const { answers, first } = this.chosen(answer(this.h.at, this.bias.at), scaled, rows, gain);
    if (traced) {
      this.tangents.forEach((tangent, axis) => {
        const found = answer(tangent.at, this.none.at), stride = wide(this.outputs);
        for (let row = 0; row < rows; row++) {
          const k = first[row] + axis;
          divergence[row] += found[row * stride + k] + (vector ? vector.skipSlope(gain, axis, k) : 0);
        }
      });
    }
    return { answers, divergence };
  }

  /** The answer of each row, its likeliest candidate, and where among the outputs that begins. */
  private chosen(
    found: Float32Array, scaled: Float32Array, rows: number, gain: Float32Array,
  ): { answers: Float32Array; first: Int32Array } {
    const { branches, outputs, dimension: d, vector } = this, stride = wide(outputs);
    const all = new Float32Array(rows * outputs);
    for (let row = 0; row < rows; row++) {
      for (let k = 0; k < outputs; k++) all[row * outputs + k] = found[row * stride + k];
    }
    if (vector) vector.addSkip(scaled, rows, gain, all);
    const first = new Int32Array(rows);
    if (branches === 1) return { answers: all, first };
    const answers = new Float32Array(rows * d), logits = branches * d;
    for (let row = 0; row < rows; row++) {
      const at = row * outputs;
      let likeliest = 0;
      for (let k = 1; k < branches; k++) {
        if (all[at + logits + k] > all[at + logits + likeliest]) likeliest = k;
      }
      first[row] = likeliest * d;
      for (let j = 0; j < d; j++) answers[row * d + j] = all[at + first[row] + j];
    }
    return { answers, first };
  }

  /** The derivative of the first layer's inputs along one coordinate. */
  private setInputSlopes(axis: number, rows: number): void {
    if (this.vector) return this.vector.featureSlopes(this.inputs, axis, rows, this.inputSlopes);
    const view = this.inputSlopes.view;
    for (let k = 0; k < rows * this.dimension; k++) view[k] = k % this.dimension === axis ? 1 : 0;
  }
}

/** What VectorMLP has besides its layers: Fourier features of the input, the noise, a linear skip. */
class VectorParts {
  private readonly d: number;
  private readonly count: number;
  private readonly directions: Block;
  private readonly x: Block;
  private readonly frequencies: Float32Array;
  private readonly projection: Float32Array;
  private readonly projectionBias: Float32Array;
  private readonly skipIn: Float32Array;
  private readonly skipOut: Float32Array;
  private readonly sizes: number[];

  constructor(
    private readonly kernel: Kernel, payload: Payload, prefix: string, private readonly outputs: number,
  ) {
    const array = (key: string) => payload.floats(prefix + key);
    const { width, layers } = payload.header.network;
    this.d = payload.dimension;
    this.directions = Block.of(kernel, array("directions"));
    this.count = this.directions.length / this.d;
    this.x = new Block(kernel, ROWS * this.d);
    this.frequencies = array("frequencies");
    this.projection = array("noise_proj.weight");
    this.projectionBias = array("noise_proj.bias");
    this.skipIn = array("linear_skip_in.weight");
    this.skipOut = array("linear_skip_out.weight");
    this.sizes = [...Array<number>(layers + 1).fill(width), this.d];
  }

  shifts(number: number): Float32Array[] {
    const half = this.frequencies.length, outputs = this.projectionBias.length;
    const projected = Float64Array.from(this.projectionBias);
    this.frequencies.forEach((frequency, k) => {
      const angle = Math.fround(Math.fround(number) * frequency);
      const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
      for (let j = 0; j < outputs; j++) {
        projected[j] += sine * this.projection[k * outputs + j];
        projected[j] += cosine * this.projection[(half + k) * outputs + j];
      }
    });
    let at = 0;
    return this.sizes.map((size) => Float32Array.from(projected.subarray(at, (at += size))));
  }

  /** Each row as [x, sin(x directions), cos(x directions)]. */
  features(x: Float32Array, rows: number, out: Block): void {
    this.x.view.set(x);
    this.kernel.fourier(this.x.at, rows, this.d, this.directions.at, this.count, out.at);
  }

  /** Their derivative along one coordinate. */
  featureSlopes(features: Block, axis: number, rows: number, out: Block): void {
    const { kernel, d, directions, count } = this;
    kernel.fourier_slope(features.at, rows, d, axis, directions.at, count, out.at);
  }

  addSkip(x: Float32Array, rows: number, gain: Float32Array, answers: Float32Array): void {
    const { d, outputs } = this;
    for (let row = 0; row < rows; row++) {
      for (let j = 0; j < d; j++) {
        let inner = 0;
        for (let i = 0; i < d; i++) inner += x[row * d + i] * this.skipIn[i * d + j];
        inner *= gain[j];
        for (let k = 0; k < outputs; k++) answers[row * outputs + k] += inner * this.skipOut[j * outputs + k];
      }
    }
  }

  /** The derivative of output k of the skip along one coordinate. */
  skipSlope(gain: Float32Array, axis: number, k: number): number {
    const { d, outputs } = this;
    let slope = 0;
    for (let j = 0; j < d; j++) slope += this.skipIn[axis * d + j] * gain[j] * this.skipOut[j * outputs + k];
    return slope;
  }
}

/**
 * The exact denoiser of weighted points, each blurred to N(p_k, width²): eq. (1) of
 * sfumato.denoisers.empirical, with v = alpha² width² + sigma² for each coordinate.
 */
export class ExactDenoiser implements Denoiser {
  readonly dimension: number;
  private readonly widths: Float64Array;
  /** The points, (dimension, count), and as the exponents see them at a level; log2 of their weights. */
  private readonly points: Block;
  private readonly q: Block;
  private readonly weights: Block;
  private readonly exponents: Block;
  private readonly y: Block;
  private readonly out: Block;

  constructor(private readonly kernel: Kernel, payload: Payload) {
    const d = (this.dimension = payload.dimension);
    const points = payload.doubles("exact/points"), logWeights = payload.doubles("exact/log_weights");
    this.widths = payload.doubles("exact/width");
    const count = logWeights.length, padded = 4 * Math.ceil(count / 4);
    const planes = new Float32Array(d * padded), weights = new Float32Array(padded).fill(-Infinity);
    for (let k = 0; k < count; k++) {
      for (let i = 0; i < d; i++) planes[i * padded + k] = points[k * d + i];
      weights[k] = logWeights[k] * Math.LOG2E;
    }
    this.points = Block.of(kernel, planes);
    this.q = new Block(kernel, d * padded);
    this.weights = Block.of(kernel, weights);
    this.exponents = new Block(kernel, padded);
    this.y = new Block(kernel, ROWS * d);
    this.out = new Block(kernel, ROWS * (d + 1));
  }

  predict(x: Float64Array, level: Level): Float64Array {
    const d = this.dimension, x_0 = new Float64Array(x.length);
    const variances = this.variances(level);
    this.each(x, level, variances, (row, means) => {
      for (let i = 0; i < d; i++) {
        const gain = (level.alpha * this.widths[i] ** 2) / variances[i];
        const mean = means[i];
        x_0[row * d + i] = mean + gain * (x[row * d + i] - level.alpha * mean);
      }
    });
    return x_0;
  }

  /** log q(x_t) in nats. */
  logDensity(x: Float64Array, level: Level): Float64Array {
    const d = this.dimension, found = new Float64Array(x.length / d);
    const variances = this.variances(level);
    const constant = variances.reduce((sum, v) => sum + Math.log(2 * Math.PI * v) / 2, 0);
    this.each(x, level, variances, (row, means) => (found[row] = means[d] * Math.LN2 - constant));
    return found;
  }

  private variances(level: Level): number[] {
    return Array.from(this.widths, (width) => (level.alpha * width) ** 2 + level.sigma ** 2);
  }

  private each(
    x: Float64Array, level: Level, variances: number[], take: (row: number, found: Float32Array) => void,
  ): void {
    const d = this.dimension, n = x.length / d, padded = this.exponents.length;
    const bends = variances.map((v) => Math.sqrt(Math.LOG2E / (2 * v))), points = this.points.view, q = this.q.view;
    for (let i = 0; i < d; i++) {
      for (let k = i * padded; k < (i + 1) * padded; k++) q[k] = level.alpha * bends[i] * points[k];
    }
    for (let start = 0; start < n; start += ROWS) {
      const rows = Math.min(ROWS, n - start), y = this.y.view;
      for (let k = 0; k < rows * d; k++) y[k] = bends[k % d] * x[start * d + k];
      this.kernel.posterior(
        this.y.at, rows, d, this.points.at, this.q.at, this.weights.at, padded, this.exponents.at, this.out.at,
      );
      const found = this.out.view;
      for (let row = 0; row < rows; row++) {
        take(start + row, found.subarray(row * (d + 1), (row + 1) * (d + 1)));
      }
    }
  }
}

/** Energy distance of Székely & Rizzo (2013) between two sets of rows, the unbiased estimate. */
export function energyDistance(
  kernel: Kernel, a: Float32Array, b: Float32Array, dimension: number,
): number {
  const between = (x: Float32Array, y: Float32Array) => {
    const n = x.length / dimension, m = y.length / dimension, padded = 4 * Math.ceil(m / 4);
    const planes = new Float32Array(dimension * padded);
    for (let k = 0; k < m; k++) {
      for (let i = 0; i < dimension; i++) planes[i * padded + k] = y[k * dimension + i];
    }
    const own = scratch(kernel, "a", x), others = scratch(kernel, "b", planes);
    return kernel.distances(own.at, n, others.at, m, padded, dimension);
  };
  const n = a.length / dimension, m = b.length / dimension;
  return (2 * between(a, b)) / (n * m) - between(a, a) / (n * (n - 1)) - between(b, b) / (m * (m - 1));
}

const kept = new WeakMap<Kernel, Map<string, Block>>();

/** Blocks that are used again: the kernel's memory is never given back. */
function scratch(kernel: Kernel, name: string, numbers: Float32Array): Block {
  const blocks = kept.get(kernel) ?? new Map<string, Block>();
  kept.set(kernel, blocks);
  let block = blocks.get(name);
  if (!block || block.length < numbers.length) {
    block = new Block(kernel, numbers.length);
    blocks.set(name, block);
  }
  block.view.set(numbers);
  return block;
}

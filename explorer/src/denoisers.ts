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
  /** The bias and what the noise adds to it. */
  shift: Block;
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
  private readonly none: Block;
  /** Rows as the network takes them, and what its first layer does: the same, or features of them. */
  private readonly x: Block;
  private readonly inputs: Block;
  private readonly inputSlopes: Block;
  private readonly z: Block;
  private readonly h: Block;
  private readonly tangents: Block[];
  private readonly slopes: Block;
  private readonly answers: Block;
  private readonly answerSlopes: Block[];

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
    this.none = new Block(kernel, widest);
    this.inputs = new Block(kernel, ROWS * features);
    this.x = this.vector ? new Block(kernel, ROWS * this.dimension) : this.inputs;
    this.inputSlopes = new Block(kernel, ROWS * features);
    this.z = new Block(kernel, ROWS * this.width);
    this.h = new Block(kernel, ROWS * this.width);
    const along = (length: number) => Array.from({ length: this.dimension }, () => new Block(kernel, ROWS * length));
    this.tangents = along(this.width);
    this.slopes = new Block(kernel, ROWS * this.width);
    this.answers = new Block(kernel, ROWS * wide(this.outputs));
    this.answerSlopes = along(wide(this.outputs));
  }

  private layer(
    weight: Float32Array, bias: Float32Array, inputs: number, outputs: number, padded: number,
  ): Layer {
    const shift = new Block(this.kernel, wide(outputs));
    return { weight: packed(this.kernel, weight, inputs, outputs, padded), bias, shift, inputs: padded };
  }

  predict(x: Float64Array, level: Level, traces?: Float64Array): Float64Array {
    const { dimension: d, outputs } = this, n = x.length / d, x_0 = new Float64Array(x.length);
    const { cIn, cSkip, cOut } = level, skip = this.setNoise(level), stride = wide(outputs);
    for (let start = 0; start < n; start += ROWS) {
      const rows = Math.min(ROWS, n - start), scaled = this.x.view, from = start * d;
      for (let k = 0; k < rows * d; k++) scaled[k] = cIn * x[from + k];
      this.forward(4 * Math.ceil(rows / 4), traces !== undefined);
      const found = this.answers.view, slopes = this.answerSlopes.map((each) => each.view);
      const output = (row: number, k: number) => {
        let sum = found[row * stride + k];
        for (let i = 0; i < d; i++) sum += scaled[row * d + i] * skip[i * outputs + k];
        return sum;
      };
      for (let row = 0; row < rows; row++) {
        const first = this.likeliest(row, output) * d;
        for (let j = 0; j < d; j++) {
          const at = from + row * d + j;
          x_0[at] = cSkip * x[at] + cOut * output(row, first + j);
        }
        if (!traces) continue;
        let divergence = 0;
        for (let j = 0; j < d; j++) divergence += slopes[j][row * stride + first + j] + skip[j * outputs + first + j];
        traces[start + row] = d * cSkip + cOut * cIn * divergence;
      }
    }
    return x_0;
  }

  /** The layers at a noise level; the linear skip there, (dimension, outputs). */
  private setNoise(level: Level): Float64Array {
    const { layers, output, vector, embedded } = this;
    const shifts = vector
      ? vector.shifts(level.number)
      : this.embeddings.map((table) => table.subarray((level.number - 1) * embedded, level.number * embedded));
    [...layers, output].forEach(({ bias, shift }, k) => {
      const view = shift.view;
      view.set(bias);
      if (k < layers.length) for (let j = 0; j < shifts[k].length; j++) view[j] += shifts[k][j];
    });
    return vector ? vector.skip(shifts[layers.length]) : new Float64Array(this.dimension * this.outputs);
  }

  /** What the last layer answers to the rows x, and where asked for its slopes along each coordinate. */
  private forward(rows: number, traced: boolean): void {
    const { kernel, width, vector, output } = this, count = rows * width;
    vector?.features(this.x, rows, this.inputs);
    this.layers.forEach((layer, k) => {
      const residual = vector !== null && k > 0;
      const times = (from: number, shift: number) =>
        kernel.linear(from, layer.weight.at, shift, this.z.at, rows, layer.inputs, width);
      times(k ? this.h.at : this.inputs.at, layer.shift.at);
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
    const answer = (from: number, shift: number, to: number) =>
      kernel.linear(from, output.weight.at, shift, to, rows, width, wide(this.outputs));
    answer(this.h.at, output.shift.at, this.answers.at);
    if (traced) this.tangents.forEach((tangent, axis) => answer(tangent.at, this.none.at, this.answerSlopes[axis].at));
  }

  /** Which candidate answer of a row has the largest logit. */
  private likeliest(row: number, output: (row: number, k: number) => number): number {
    const logits = this.branches * this.dimension;
    let found = 0;
    for (let k = 1; k < this.branches; k++) {
      if (output(row, logits + k) > output(row, logits + found)) found = k;
    }
    return found;
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
  features(x: Block, rows: number, out: Block): void {
    this.kernel.fourier(x.at, rows, this.d, this.directions.at, this.count, out.at);
  }

  /** Their derivative along one coordinate. */
  featureSlopes(features: Block, axis: number, rows: number, out: Block): void {
    const { kernel, d, directions, count } = this;
    kernel.fourier_slope(features.at, rows, d, axis, directions.at, count, out.at);
  }

  /** The linear skip with its gain, (dimension, outputs). */
  skip(gain: Float32Array): Float64Array {
    const { d, outputs } = this, found = new Float64Array(d * outputs);
    for (let i = 0; i < d; i++) {
      for (let j = 0; j < d; j++) {
        const inner = this.skipIn[i * d + j] * gain[j];
        for (let k = 0; k < outputs; k++) found[i * outputs + k] += inner * this.skipOut[j * outputs + k];
      }
    }
    return found;
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

// The compiled kernel (kernel/kernel.ts) and the memory it works in.

import plain from "./kernel.wasm?url&inline";
import fused from "./kernel_fused.wasm?url&inline";
import { decoded } from "./payload";
import { NO_MEMORY } from "./tasks";

export interface Kernel {
  memory: WebAssembly.Memory;
  reserve(bytes: number): number;
  fourier(
    x: number, rows: number, dimension: number, directions: number, count: number, out: number,
  ): void;
  fourier_slope(
    features: number, rows: number, dimension: number, axis: number, directions: number,
    count: number, out: number,
  ): void;
  linear(
    x: number, w: number, b: number, out: number, rows: number, inputs: number, outputs: number,
  ): void;
  silu(z: number, h: number, count: number, residual: boolean): void;
  silu_slope(z: number, slope: number, count: number): void;
  relu(z: number, h: number, count: number): void;
  relu_slope(z: number, slope: number, count: number): void;
  chain(z: number, slope: number, h: number, count: number, residual: boolean): void;
  posterior(
    y: number, rows: number, dimension: number, points: number, q: number, weights: number, count: number,
    exponents: number, out: number,
  ): void;
  gather(
    x: number, height: number, width: number, channels: number, size: number, stride: number, before: number,
    doubled: number, outHeight: number, outWidth: number, first: number, rows: number, out: number,
  ): void;
  join(a: number, aChannels: number, b: number, bChannels: number, rows: number, out: number): void;
  add(x: number, out: number, count: number): void;
  group_norm(
    x: number, positions: number, channels: number, groups: number, eps: number, shift: number, weight: number,
    bias: number, scratch: number, out: number,
  ): void;
  attention(qkv: number, positions: number, heads: number, width: number, scores: number, out: number): void;
  distances(
    a: number, n: number, b: number, count: number, padded: number, dimension: number,
  ): number;
}

/** An instance with memory of its own. */
export async function loadKernel(): Promise<Kernel> {
  const [fast, portable] = [fused, plain].map((url) => decoded(url.slice(url.indexOf(",") + 1)));
  const bytes = WebAssembly.validate(fast) ? fast : portable;
  const { instance } = await WebAssembly.instantiate(bytes, {
    env: { abort: () => { throw new Error(NO_MEMORY); } },
  });
  return instance.exports as unknown as Kernel;
}

/** A block of float32 in the kernel's memory. */
export class Block {
  readonly at: number;

  constructor(private readonly kernel: Kernel, readonly length: number) {
    this.at = kernel.reserve(4 * length);
  }

  /** A view of it; memory may grow, so that it is made when it is used. */
  get view(): Float32Array {
    return new Float32Array(this.kernel.memory.buffer, this.at, this.length);
  }

  static of(kernel: Kernel, numbers: ArrayLike<number>): Block {
    const block = new Block(kernel, numbers.length);
    block.view.set(numbers);
    return block;
  }
}

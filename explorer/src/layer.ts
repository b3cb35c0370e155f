// Linear layers as the kernel multiplies them.

import { Block, type Kernel } from "./kernel";

/** Rows that are computed together: few enough for the processor's nearest memory. */
export const ROWS = 32;

/** Outputs of a layer as the kernel takes them, a multiple of 8. */
export function wide(outputs: number): number {
  return 8 * Math.ceil(outputs / 8);
}

/** Weights (inputs, outputs) padded with zeros, outputs to a multiple of 8, inputs to what comes in; and packed. */
export function packed(kernel: Kernel, weight: Float32Array, inputs: number, outputs: number, padded: number): Block {
  const found = new Float32Array(padded * wide(outputs));
  for (let i = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++) found[(j - (j % 8)) * padded + 8 * i + (j % 8)] = weight[i * outputs + j];
  }
  return Block.of(kernel, found);
}

/** A layer of a few rows. */
export class Layer {
  /** With those that fill it up. */
  readonly outputs: number;
  private readonly weight: Block;
  private readonly bias: Block;

  constructor(private readonly kernel: Kernel, weight: Float32Array, bias: Float32Array, readonly inputs: number, outputs: number) {
    this.outputs = wide(outputs);
    this.weight = packed(kernel, weight, inputs, outputs, inputs);
    const shift = new Float32Array(this.outputs);
    shift.set(bias);
    this.bias = Block.of(kernel, shift);
  }

  /** Of rows, one after the other, in fours: there is room for what fills up the last four. */
  times(x: Block, out: Block, rows = ROWS, first = 0): void {
    const to = out.at + 4 * first * this.outputs;
    this.kernel.linear(x.at, this.weight.at, this.bias.at, to, 4 * Math.ceil(rows / 4), this.inputs, this.outputs);
  }
}

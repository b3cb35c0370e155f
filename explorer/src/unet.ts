// The U-Net of sfumato.networks.unet: pictures as rows of pixels, their channels one after the other, and a
// convolution as the product of what each pixel sees (`gather`) with a matrix.

import { Block, type Kernel } from "./kernel";
import { Layer, ROWS } from "./layer";

/** What the network has besides its weights. */
export interface UNetHeader {
  /** Edges are repeated until the sides are multiples of it. */
  factor: number;
  /** Channels of the pictures, and of the answer. */
  channels: number;
  outputs: number;
  eps: number;
  /** Of each norm and each attention, by its name. */
  groups: Record<string, number>;
  heads: Record<string, [heads: number, width: number]>;
  scale_shift: boolean;
  one_sided: boolean;
  /** Features of the time: sines of the number less `first`, or a row of a table, rows counted from `first`. */
  time: { learned: boolean; first: number; cosine_first: boolean };
}

/** Its arrays by name; matrices are (inputs, outputs), a convolution's inputs (down, across, channels). */
export interface Weights {
  has(name: string): boolean;
  shape(name: string): number[];
  floats(name: string): Float32Array;
}

/** Features of all pictures of a call, (pictures, height, width, channels). */
interface Features {
  block: Block;
  channels: number;
  height: number;
  width: number;
}

export class UNet {
  private readonly timeLayers: Layer[];
  private readonly classes: Float32Array | null;
  private readonly convIn: Convolution;
  private readonly down: Stage[];
  private readonly mid: Stage;
  private readonly midAttention: Attention | null;
  private readonly up: Stage[];
  private readonly normOut: Norm;
  private readonly convOut: Convolution;
  private readonly work: Work;

  constructor(kernel: Kernel, private readonly header: UNetHeader, private readonly weights: Weights) {
    const work = (this.work = new Work(kernel, header, weights));
    this.timeLayers = [work.layer("time_emb.0"), work.layer("time_emb.2")];
    this.classes = weights.has("class_emb.weight") ? weights.floats("class_emb.weight") : null;
    this.convIn = new Convolution(work, "conv_in", header.channels);
    this.down = stages(work, "down");
    this.mid = new Stage(work, "mid");
    this.midAttention = weights.has("mid_attention.attention.qkv.weight") ? new Attention(work, "mid_attention") : null;
    this.up = stages(work, "up");
    this.normOut = new Norm(work, "norm_out");
    this.convOut = new Convolution(work, "conv_out");
  }

  /** Answer pictures x (pictures, channels, height, width) of one time; of classes, each has its number. */
  answer(x: Float32Array, height: number, width: number, time: number, labels: ArrayLike<number> | null): Float32Array {
    const { work, header } = this, { channels, outputs, factor } = header;
    const pictures = x.length / (channels * height * width);
    work.begin(pictures);
    const emb = this.embedding(time, labels);
    let h = this.convIn.of(work.pixels(x, height, width, factor), work.kept);
    const skips = [h];
    for (const stage of this.down) {
      for (let k = 0; k < stage.blocks.length; k++) skips.push((h = stage.block(k, h, emb)));
      if (stage.downsample) skips.push((h = stage.downsample.of(h, work.kept)));
    }
    h = this.mid.block(0, h, emb);
    if (this.midAttention) h = this.midAttention.of(h);
    h = this.mid.block(1, h, emb);
    for (const stage of this.up) {
      for (let k = 0; k < stage.blocks.length; k++) h = stage.block(k, work.joined(h, skips.pop()!), emb);
      if (stage.upsample) h = stage.upsample.of(h, work.kept);
    }
    const found = this.convOut.of(work.silu(this.normOut.of(h)), work.kept), view = found.block.view;
    const answer = new Float32Array(pictures * outputs * height * width);
    let to = 0;
    for (let picture = 0; picture < pictures; picture++) {
      for (let c = 0; c < outputs; c++) {
        for (let y = 0; y < height; y++) {
          const from = (picture * found.height + y) * found.width;
          for (let z = 0; z < width; z++) answer[to++] = view[(from + z) * found.channels + c];
        }
      }
    }
    return answer;
  }

  /** silu of the embedding of time and class, a row for each picture. */
  private embedding(time: number, labels: ArrayLike<number> | null): Block {
    const { work, timeLayers: [first, second], classes } = this, { pictures } = work, size = second.outputs;
    const inputs = work.scratch("time", pictures, first.inputs), features = this.features(time);
    for (let k = 0; k < pictures; k++) inputs.view.set(features, k * first.inputs);
    const hidden = work.scratch("hidden", pictures, size), emb = work.scratch("embedding", pictures, size);
    first.times(inputs, hidden, pictures);
    work.kernel.silu(hidden.at, hidden.at, pictures * size, false);
    second.times(hidden, emb, pictures);
    const view = emb.view;
    if (classes) for (let k = 0; k < pictures * size; k++) view[k] += classes[labels![Math.floor(k / size)] * size + (k % size)];
    work.kernel.silu(emb.at, emb.at, pictures * size, false);
    return emb;
  }

  private features(time: number): Float32Array {
    const { learned, first, cosine_first } = this.header.time;
    if (learned) {
      const width = this.timeLayers[0].inputs, table = this.weights.floats("time_proj.embedding.weight");
      return table.subarray((time - first) * width, (time - first + 1) * width);
    }
    const frequencies = this.weights.floats("frequencies"), half = frequencies.length, found = new Float32Array(2 * half);
    const number = Math.fround(Math.fround(time) - first), [sines, cosines] = cosine_first ? [half, 0] : [0, half];
    frequencies.forEach((frequency, k) => {
      const angle = Math.fround(number * frequency);
      [found[sines + k], found[cosines + k]] = [Math.sin(angle), Math.cos(angle)];
    });
    return found;
  }
}

function stages(work: Work, name: string): Stage[] {
  const found: Stage[] = [];
  while (work.weights.has(`${name}.${found.length}.blocks.0.conv_1.weight`)) found.push(new Stage(work, `${name}.${found.length}`));
  return found;
}

/** One resolution on the way down or up: blocks, each perhaps with attention. */
class Stage {
  readonly blocks: ResidualBlock[] = [];
  readonly downsample: Convolution | null;
  readonly upsample: Convolution | null;
  private readonly attentions: Attention[] = [];

  constructor(work: Work, name: string) {
    const { has } = work;
    while (has(`${name}.blocks.${this.blocks.length}.conv_1.weight`)) {
      this.blocks.push(new ResidualBlock(work, `${name}.blocks.${this.blocks.length}`));
    }
    while (has(`${name}.attentions.${this.attentions.length}.attention.qkv.weight`)) {
      this.attentions.push(new Attention(work, `${name}.attentions.${this.attentions.length}`));
    }
    const sampling = (key: string, how: Sampling) =>
      has(`${name}.${key}.conv.weight`) ? new Convolution(work, `${name}.${key}.conv`, 0, how) : null;
    this.downsample = sampling("downsample", work.header.one_sided ? "half, padded at the end" : "half");
    this.upsample = sampling("upsample", "double");
  }

  block(k: number, x: Features, emb: Block): Features {
    const found = this.blocks[k].of(x, emb);
    return this.attentions.length ? this.attentions[k].of(found) : found;
  }
}

/** Two convolutions with the embedding between them, and a skip of the input. */
class ResidualBlock {
  private readonly norm1: Norm;
  private readonly conv1: Convolution;
  private readonly embProj: Layer;
  private readonly norm2: Norm;
  private readonly conv2: Convolution;
  private readonly skip: Layer | null;

  constructor(private readonly work: Work, name: string) {
    this.norm1 = new Norm(work, `${name}.norm_1`);
    this.conv1 = new Convolution(work, `${name}.conv_1`);
    this.embProj = work.layer(`${name}.emb_proj`);
    this.norm2 = new Norm(work, `${name}.norm_2`);
    this.conv2 = new Convolution(work, `${name}.conv_2`);
    this.skip = work.has(`${name}.skip.weight`) ? work.layer(`${name}.skip`) : null;
  }

  of(x: Features, emb: Block): Features {
    const { work } = this;
    const h = this.conv1.of(work.silu(this.norm1.of(x)), (rows, channels) => work.scratch("h", rows, channels));
    const size = this.embProj.outputs, change = work.scratch("change", work.pictures, size);
    this.embProj.times(emb, change, work.pictures);
    const of = (picture: number) => change.view.subarray(picture * size, (picture + 1) * size);
    const found = this.conv2.of(work.silu(this.norm2.of(h, of)), work.kept);
    return work.added(this.skip ? work.linear(this.skip, x, "h") : x, found);
  }
}

/** Self-attention over all pixels of a picture, and a skip of the input. */
class Attention {
  private readonly norm: Norm | null;
  private readonly qkv: Layer;
  private readonly proj: Layer;
  private readonly heads: [heads: number, width: number];

  constructor(private readonly work: Work, name: string) {
    this.norm = work.has(`${name}.norm.weight`) ? new Norm(work, `${name}.norm`) : null;
    this.qkv = work.layer(`${name}.attention.qkv`);
    this.proj = work.layer(`${name}.attention.proj`);
    this.heads = work.header.heads[name];
  }

  /** In place. */
  of(x: Features): Features {
    const { work, heads: [heads, width] } = this, { kernel, pictures } = work, positions = x.height * x.width;
    const qkv = work.linear(this.qkv, this.norm ? this.norm.of(x) : x, "qkv");
    const all = heads * width, found = { ...x, channels: all, block: work.scratch("attended", pictures * positions, all) };
    const scores = work.scratch("scores", positions, 1);
    for (let k = 0; k < pictures; k++) {
      const [from, to] = [qkv.block.at + 12 * k * positions * all, found.block.at + 4 * k * positions * all];
      kernel.attention(from, positions, heads, width, scores.at, to);
    }
    return work.added(work.linear(this.proj, found, "h"), x);
  }
}

/** A norm of groups of channels. */
class Norm {
  private readonly weight: Float32Array;
  private readonly bias: Float32Array;
  private readonly groups: number;

  constructor(private readonly work: Work, name: string) {
    this.weight = work.weights.floats(`${name}.weight`);
    this.bias = work.weights.floats(`${name}.bias`);
    this.groups = work.header.groups[name];
  }

  /** `change` gives each picture's scale and shift of the norm, or what is added before it. */
  of(x: Features, change?: (picture: number) => Float32Array): Features {
    const { work, groups } = this, { kernel, pictures, header } = work, { channels } = x, positions = x.height * x.width;
    const out = work.scratch("normed", pictures * positions, channels), sums = work.scratch("sums", 2, channels);
    const [shift, weight, bias] = ["shift", "weight", "bias"].map((name) => work.scratch(name, 1, channels));
    for (let k = 0; k < pictures; k++) {
      const own = change?.(k), scaled = header.scale_shift ? own : undefined;
      const [s, w, b] = [shift.view, weight.view, bias.view];
      for (let c = 0; c < channels; c++) {
        const scale = 1 + (scaled?.[c] ?? 0);
        s[c] = scaled ? 0 : (own?.[c] ?? 0);
        w[c] = scale * this.weight[c];
        b[c] = scale * this.bias[c] + (scaled?.[channels + c] ?? 0);
      }
      const at = 4 * k * positions * channels;
      kernel.group_norm(
        x.block.at + at, positions, channels, groups, header.eps, shift.at, weight.at, bias.at, sums.at, out.at + at,
      );
    }
    return { ...x, block: out };
  }
}

/** How the answer of a convolution lies on its input. */
type Sampling = "same" | "half" | "half, padded at the end" | "double";

/** A convolution of 3 x 3 pixels. */
class Convolution {
  private readonly layer: Layer;
  private readonly stride: number;
  private readonly before: number;
  private readonly doubled: number;

  constructor(private readonly work: Work, name: string, private readonly channels = 0, sampling: Sampling = "same") {
    this.layer = work.layer(name);
    this.channels ||= this.layer.inputs / 9;
    this.stride = sampling.startsWith("half") ? 2 : 1;
    this.before = sampling === "half, padded at the end" ? 0 : 1;
    this.doubled = Number(sampling === "double");
  }

  /** The answer, in a block that is asked for. */
  of(x: Features, block: (rows: number, channels: number) => Block): Features {
    const { work, layer, channels, stride, before, doubled } = this;
    const [height, width] = [x.height, x.width].map((side) => (side << doubled) / stride);
    const rows = work.pictures * height * width, seen = work.scratch("seen", ROWS, layer.inputs);
    const found = { block: block(rows, layer.outputs), channels: layer.outputs, height, width };
    for (let first = 0; first < rows; first += ROWS) {
      const some = Math.min(ROWS, rows - first);
      work.kernel.gather(
        x.block.at, x.height, x.width, channels, 3, stride, before, doubled, height, width, first, some, seen.at,
      );
      layer.times(seen, found.block, some, first);
    }
    return found;
  }
}

/** Where a network computes: blocks of the kernel's memory, which are used again call after call. */
class Work {
  pictures = 0;
  private readonly named = new Map<string, Block>();
  private readonly outputs: Block[] = [];
  private next = 0;

  constructor(readonly kernel: Kernel, readonly header: UNetHeader, readonly weights: Weights) {}

  has = (name: string): boolean => this.weights.has(name);

  layer(name: string): Layer {
    const [inputs, outputs] = this.weights.shape(`${name}.weight`);
    return new Layer(this.kernel, this.weights.floats(`${name}.weight`), this.weights.floats(`${name}.bias`), inputs, outputs);
  }

  /** A call of so many pictures: what was kept of the one before is let go. */
  begin(pictures: number): void {
    this.pictures = pictures;
    this.next = 0;
  }

  /** A block that stays until the call is over, for rows of so many channels. */
  kept = (rows: number, channels: number): Block => {
    const k = this.next++, length = room(rows, channels), found = this.outputs[k];
    if (found && found.length >= length) return found;
    return (this.outputs[k] = new Block(this.kernel, length));
  };

  /** A block that whoever asks for the same name next writes over. */
  scratch(name: string, rows: number, channels: number): Block {
    const length = room(rows, channels);
    let found = this.named.get(name);
    if (!found || found.length < length) this.named.set(name, (found = new Block(this.kernel, length)));
    return found;
  }

  /** Pictures (channels, height, width), their edges repeated until both sides are multiples of a factor. */
  pixels(x: Float32Array, height: number, width: number, factor: number): Features {
    const { pictures, header: { channels } } = this, [down, across] = [height, width].map((side) => factor * Math.ceil(side / factor));
    const block = this.scratch("pixels", pictures * down * across, channels), view = block.view;
    let to = 0;
    for (let picture = 0; picture < pictures; picture++) {
      for (let y = 0; y < down; y++) {
        for (let z = 0; z < across; z++) {
          const from = Math.min(y, height - 1) * width + Math.min(z, width - 1);
          for (let c = 0; c < channels; c++) view[to++] = x[(picture * channels + c) * height * width + from];
        }
      }
    }
    return { block, channels, height: down, width: across };
  }

  private rowsOf({ height, width }: Features): number {
    return this.pictures * height * width;
  }

  /** A linear layer of every pixel. */
  linear(layer: Layer, x: Features, name: string): Features {
    const rows = this.rowsOf(x), block = this.scratch(name, rows, layer.outputs);
    layer.times(x.block, block, rows);
    return { ...x, block, channels: layer.outputs };
  }

  /** In place. */
  silu(x: Features): Features {
    this.kernel.silu(x.block.at, x.block.at, this.rowsOf(x) * x.channels, false);
    return x;
  }

  /** x is added to what is there. */
  added(x: Features, to: Features): Features {
    this.kernel.add(x.block.at, to.block.at, this.rowsOf(x) * x.channels);
    return to;
  }

  /** The channels of both. */
  joined(a: Features, b: Features): Features {
    const rows = this.rowsOf(a), channels = a.channels + b.channels, block = this.scratch("joined", rows, channels);
    this.kernel.join(a.block.at, a.channels, b.block.at, b.channels, rows, block.at);
    return { ...a, block, channels };
  }
}

/** Numbers of so many rows, filled up to fours. */
function room(rows: number, channels: number): number {
  return 4 * Math.ceil(rows / 4) * channels;
}

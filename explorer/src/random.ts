// The noise of `run.sample`, drawn by the same algorithms, so that the page draws the same samples:
// NumPy's SeedSequence gives a chunk its seed, and PyTorch's Mersenne twister its normal numbers.

/** Rows that are drawn together (`process.streams.CHUNK`). */
export const CHUNK = 1024;

/** Pictures whose noise is drawn together (`process.streams.PICTURES`). */
export const SHEET = 64;

const SAMPLING = 0, LABELLING = 4;

/** NumPy's SeedSequence(seed, spawn_key=stream): the first 32 bits of its state (O'Neill 2015). */
export function streamSeed(seed: number, ...stream: number[]): number {
  const words = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 0, 0, ...stream];
  let constant = 0x43b0d7e5;
  const hashed = (value: number): number => {
    value = (value ^ constant) >>> 0;
    constant = Math.imul(constant, 0x931e8875) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mixed = (x: number, y: number): number => {
    const value = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = words.slice(0, 4).map(hashed);
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
    }
  }
  for (const word of words.slice(4)) {
    for (let to = 0; to < 4; to++) pool[to] = mixed(pool[to], hashed(word));
  }
  const first = (pool[0] ^ 0x8b51f9dd) >>> 0;
  const value = Math.imul(first, Math.imul(0x8b51f9dd, 0x58f38ded)) >>> 0;
  return (value ^ (value >>> 16)) >>> 0;
}

/** MT19937 (Matsumoto & Nishimura 1998). */
class Twister {
  private readonly state = new Uint32Array(624);
  private at = 624;

  constructor(seed: number) {
    this.state[0] = seed;
    for (let k = 1; k < 624; k++) {
      const before = this.state[k - 1];
      this.state[k] = Math.imul(1812433253, before ^ (before >>> 30)) + k;
    }
  }

  next(): number {
    if (this.at === 624) this.twist();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Pass over some, as if they were drawn. */
  skip(count: number): void {
    let at = this.at + count;
    for (; at > 624; at -= 624) this.twist();
    this.at = at;
  }

  private twist(): void {
    const s = this.state;
    for (let k = 0; k < 624; k++) {
      const y = (s[k] & 0x80000000) | (s[k < 623 ? k + 1 : 0] & 0x7fffffff);
      // No branch on a random bit, and no division: a quarter of the time.
      s[k] = s[k < 227 ? k + 397 : k - 227] ^ (y >>> 1) ^ (-(y & 1) & 0x9908b0df);
    }
    this.at = 0;
  }
}

/** `torch.rand(..., dtype=float64)` of a stream under a seed. */
export function uniforms(count: number, seed: number, ...stream: number[]): Float64Array {
  const numbers = new Float64Array(count);
  fill(numbers, new Twister(streamSeed(seed, ...stream)));
  return numbers;
}

/**
 * The classes of a sheet of pictures (`models.gaussian`): evenly over their shares, in an order of its own.
 *
 * `bounds` are the sums of the shares up to each class, in float32, as PyTorch adds them; it draws the order
 * (`torch.randperm`) by swaps.
 */
export function classesOf(bounds: Float32Array, seed: number, sheet: number): Int32Array {
  const source = new Twister(streamSeed(seed, LABELLING, sheet)), shift = (source.next() & 0xffffff) / 2 ** 24;
  const even = Int32Array.from({ length: SHEET }, (_, k) => {
    const share = Math.fround(Math.fround(k + shift) / SHEET);
    return Math.min(bounds.filter((bound) => bound <= share).length, bounds.length - 1);
  });
  const order = Array.from({ length: SHEET }, (_, k) => k);
  for (let k = 0; k < SHEET - 1; k++) {
    const other = k + (source.next() % (SHEET - k));
    [order[k], order[other]] = [order[other], order[k]];
  }
  return even.map((_, k) => even[order[k]]);
}

/** Uniform numbers of 53 bits. */
function fill(numbers: Float64Array, source: Twister): void {
  for (let k = 0; k < numbers.length; k++) {
    const high = source.next() & 0x1fffff;
    numbers[k] = (high * 2 ** 32 + source.next()) / 2 ** 53;
  }
}

/** Successive arrays of normal numbers, as `torch.randn(..., dtype=float64)` gives them. */
export class Normals {
  private readonly source: Twister;

  private constructor(seed: number) {
    this.source = new Twister(seed);
  }

  /** The noise of a chunk of samples; of pictures, of a sheet. */
  static ofChunk(seed: number, chunk: number): Normals {
    return new Normals(streamSeed(seed, SAMPLING, chunk));
  }

  /** The noise that errors by level are taken with. */
  static ofErrors(seed: number): Normals {
    return new Normals(streamSeed(seed));
  }

  /**
   * `count` of them: Box and Muller (1958), eight pairs at a time.
   *
   * Fewer than 16 PyTorch draws in another way; here they are the first of 16.
   */
  draw(count: number): Float64Array {
    if (count < 16) return this.draw(16).subarray(0, count);
    const numbers = new Float64Array(count);
    fill(numbers, this.source);
    const whole = count - (count % 16);
    for (let start = 0; start < whole; start += 16) turn(numbers.subarray(start, start + 16));
    if (whole < count) {
      // What is left over: the last 16 are drawn once more.
      const last = numbers.subarray(count - 16);
      fill(last, this.source);
      turn(last);
    }
    return numbers;
  }

  /**
   * Of the next `count`, a multiple of 16, those from one place to another; the others are passed over.
   *
   * Workers that share a chunk draw a part of it each: it is the logarithms and sines that take the time.
   */
  part(count: number, from: number, to: number): Float64Array {
    const begin = from - (from % 16), end = to + ((count - to) % 16);
    this.source.skip(2 * begin);
    const numbers = this.draw(end - begin);
    this.source.skip(2 * (count - end));
    return numbers.subarray(from - begin, to - begin);
  }
}

/** Sixteen uniform numbers to normal ones. */
function turn(numbers: Float64Array): void {
  for (let k = 0; k < 8; k++) {
    const radius = Math.sqrt(-2 * Math.log(1 - numbers[k]));
    const angle = 2 * Math.PI * numbers[k + 8];
    numbers[k] = radius * Math.cos(angle);
    numbers[k + 8] = radius * Math.sin(angle);
  }
}

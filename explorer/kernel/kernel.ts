// What is computed for every point or pixel: products, activations, norms, and sums over a set of points.
// All arrays are float32 in linear memory, rows one after the other; four numbers at a time.

/** Bytes at the end of memory, never given back: buffers are made once. */
export function reserve(bytes: i32): usize {
  return heap.alloc(bytes);
}

// a b + c, and c - a b: rounded once where the processor can, as it takes half of the time. The kernel is
// compiled with these instructions and without, for browsers that lack them.
// @ts-ignore: decorator
@inline
function times_plus4(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

// @ts-ignore: decorator
@inline
function minus_times4(c: v128, a: v128, b: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_nmadd(a, b, c) : f32x4.sub(c, f32x4.mul(a, b));
}

// Added to a float of size below 2^22 it leaves the nearest integer in the lowest bits.
const ROUNDING: f32 = 12582912.0;
const ROUNDING_BITS: i32 = 0x4b400000;
const LOG2E: f32 = 1.44269504088896341;

// 2^x for x of size up to 126 by 2^n 2^r with |r| <= 1/2, 2^r by a minimax polynomial: within 2e-7 of itself.
// @ts-ignore: decorator
@inline
function power4(x: v128): v128 {
  const shifted = f32x4.add(x, f32x4.splat(ROUNDING));
  const r = f32x4.sub(x, f32x4.sub(shifted, f32x4.splat(ROUNDING)));
  let p = f32x4.splat(1.3264727253e-3);
  p = times_plus4(p, r, f32x4.splat(9.6715127859e-3));
  p = times_plus4(p, r, f32x4.splat(5.5507337445e-2));
  p = times_plus4(p, r, f32x4.splat(2.4022242083e-1));
  p = times_plus4(p, r, f32x4.splat(6.9314697760e-1));
  p = times_plus4(p, r, f32x4.splat(1.0));
  return i32x4.add(p, i32x4.shl(shifted, 23));
}

// 2^(x by), which is e^x where `by` is log2(e): within 2e-7 (1 + |x|) of itself.
// @ts-ignore: decorator
@inline
function exp4(x: v128, by: f32 = LOG2E): v128 {
  const scaled = f32x4.mul(x, f32x4.splat(by));
  return power4(f32x4.pmax(f32x4.splat(-126.0), f32x4.pmin(f32x4.splat(126.0), scaled)));
}

/**
 * Random Fourier features: each row x as [x, sin(x directions), cos(x directions)].
 *
 * directions are (dimension, count), count a multiple of 4. Sines by quadrants, for angles of size
 * up to some thousands (Cephes, sinf).
 */
export function fourier(
  x: usize, rows: i32, dimension: i32, directions: usize, count: i32, out: usize,
): void {
  const width = <usize>count << 2, head = <usize>dimension << 2;
  for (let row = 0; row < rows; row++) {
    for (let i: usize = 0; i < head; i += 4) store<f32>(out + i, load<f32>(x + i));
    for (let j: usize = 0; j < width; j += 16) {
      let angle = f32x4.splat(0);
      for (let i = 0; i < dimension; i++) {
        const own = v128.load32_splat(x + (<usize>i << 2));
        angle = f32x4.add(angle, f32x4.mul(own, v128.load(directions + <usize>i * width + j)));
      }
      const quarters = f32x4.mul(angle, f32x4.splat(0.636619772367581));
      const quadrant = f32x4.add(quarters, f32x4.splat(ROUNDING));
      const turns = f32x4.sub(quadrant, f32x4.splat(ROUNDING));
      let r = f32x4.sub(angle, f32x4.mul(turns, f32x4.splat(1.5703125)));
      r = f32x4.sub(r, f32x4.mul(turns, f32x4.splat(4.837512969970703125e-4)));
      r = f32x4.sub(r, f32x4.mul(turns, f32x4.splat(7.54978995489188216e-8)));
      const r2 = f32x4.mul(r, r);
      let s = f32x4.splat(-1.9515295891e-4);
      s = f32x4.add(f32x4.mul(s, r2), f32x4.splat(8.3321608736e-3));
      s = f32x4.add(f32x4.mul(s, r2), f32x4.splat(-1.6666654611e-1));
      s = f32x4.add(f32x4.mul(f32x4.mul(s, r2), r), r);
      let c = f32x4.splat(2.443315711809948e-5);
      c = f32x4.add(f32x4.mul(c, r2), f32x4.splat(-1.388731625493765e-3));
      c = f32x4.add(f32x4.mul(c, r2), f32x4.splat(4.166664568298827e-2));
      c = f32x4.mul(f32x4.mul(c, r2), r2);
      c = f32x4.add(f32x4.sub(c, f32x4.mul(r2, f32x4.splat(0.5))), f32x4.splat(1.0));
      const odd = i32x4.eq(v128.and(quadrant, i32x4.splat(1)), i32x4.splat(1));
      const sign = i32x4.shl(v128.and(quadrant, i32x4.splat(2)), 30);
      const turned = i32x4.shl(v128.and(i32x4.add(quadrant, i32x4.splat(1)), i32x4.splat(2)), 30);
      v128.store(out + head + j, v128.xor(v128.bitselect(c, s, odd), sign));
      v128.store(out + head + width + j, v128.xor(v128.bitselect(s, c, odd), turned));
    }
    x += head;
    out += head + 2 * width;
  }
}

/** The derivative of such features along one coordinate. */
export function fourier_slope(
  features: usize, rows: i32, dimension: i32, axis: i32, directions: usize, count: i32, out: usize,
): void {
  const width = <usize>count << 2, head = <usize>dimension << 2;
  const along = directions + <usize>axis * width;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < dimension; i++) store<f32>(out + (<usize>i << 2), i == axis ? 1 : 0);
    const sines = features + head, cosines = sines + width;
    for (let j: usize = 0; j < width; j += 16) {
      const length = v128.load(along + j);
      v128.store(out + head + j, f32x4.mul(v128.load(cosines + j), length));
      v128.store(out + head + width + j, f32x4.neg(f32x4.mul(v128.load(sines + j), length)));
    }
    features += head + 2 * width;
    out += head + 2 * width;
  }
}

/**
 * out = x w + b, for `rows` (a multiple of 4) rows of `inputs` numbers; `outputs` a multiple of 8.
 *
 * w is packed: for each 8 outputs their weights of all inputs, (outputs / 8, inputs, 8), which are
 * read from one end to the other; b has `outputs`.
 */
export function linear(
  x: usize, w: usize, b: usize, out: usize, rows: i32, inputs: i32, outputs: i32,
): void {
  const step = <usize>inputs << 2, wide = <usize>outputs << 2;
  for (let j: usize = 0; j < wide; j += 32) {
    const low = v128.load(b + j), high = v128.load(b + j, 16);
    const end = w + (<usize>inputs << 5);
    let x0 = x, to = out + j;
    for (let row = 0; row < rows; row += 4) {
      let a0 = low, a1 = low, a2 = low, a3 = low, c0 = high, c1 = high, c2 = high, c3 = high;
      let x1 = x0 + step, x2 = x1 + step, x3 = x2 + step;
      for (let weights = w; weights < end; weights += 32) {
        const p = v128.load(weights), q = v128.load(weights, 16);
        let v = v128.load32_splat(x0);
        x0 += 4;
        a0 = times_plus4(v, p, a0);
        c0 = times_plus4(v, q, c0);
        v = v128.load32_splat(x1);
        x1 += 4;
        a1 = times_plus4(v, p, a1);
        c1 = times_plus4(v, q, c1);
        v = v128.load32_splat(x2);
        x2 += 4;
        a2 = times_plus4(v, p, a2);
        c2 = times_plus4(v, q, c2);
        v = v128.load32_splat(x3);
        x3 += 4;
        a3 = times_plus4(v, p, a3);
        c3 = times_plus4(v, q, c3);
      }
      v128.store(to, a0);
      v128.store(to, c0, 16);
      to += wide;
      v128.store(to, a1);
      v128.store(to, c1, 16);
      to += wide;
      v128.store(to, a2);
      v128.store(to, c2, 16);
      to += wide;
      v128.store(to, a3);
      v128.store(to, c3, 16);
      to += wide;
      x0 = x3;
    }
    w = end;
  }
}

// 1 / sigmoid(z).
// @ts-ignore: decorator
@inline
function over_sigmoid4(z: v128): v128 {
  return f32x4.add(f32x4.splat(1.0), exp4(z, -LOG2E));
}

/**
 * h += silu(z) where `residual`, else h = silu(z); `count` is a multiple of 8.
 *
 * Eight at a time take a fifth less time than four: each constant is made once for both.
 */
export function silu(z: usize, h: usize, count: i32, residual: bool): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 32) {
    const low = v128.load(z + at), high = v128.load(z + at, 16);
    let a = f32x4.div(low, over_sigmoid4(low)), b = f32x4.div(high, over_sigmoid4(high));
    if (residual) {
      a = f32x4.add(v128.load(h + at), a);
      b = f32x4.add(v128.load(h + at, 16), b);
    }
    v128.store(h + at, a);
    v128.store(h + at, b, 16);
  }
}

/** slope = silu'(z). */
export function silu_slope(z: usize, slope: usize, count: i32): void {
  const one = f32x4.splat(1.0);
  for (let at: usize = 0; at < <usize>count << 2; at += 16) {
    const value = v128.load(z + at), gate = f32x4.div(one, over_sigmoid4(value));
    const rest = f32x4.mul(value, f32x4.sub(one, gate));
    v128.store(slope + at, f32x4.mul(gate, f32x4.add(one, rest)));
  }
}

/** h = max(z, 0). */
export function relu(z: usize, h: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 16) {
    v128.store(h + at, f32x4.max(v128.load(z + at), f32x4.splat(0)));
  }
}

/** slope = 1 where z > 0, else 0. */
export function relu_slope(z: usize, slope: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 16) {
    v128.store(slope + at, v128.and(f32x4.splat(1.0), f32x4.gt(v128.load(z + at), f32x4.splat(0))));
  }
}

/** h = slope z, added to what is there where `residual`. */
export function chain(z: usize, slope: usize, h: usize, count: i32, residual: bool): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 16) {
    const value = f32x4.mul(v128.load(z + at), v128.load(slope + at));
    v128.store(h + at, residual ? f32x4.add(v128.load(h + at), value) : value);
  }
}

/**
 * The posterior of a set of points given each row: weights r_k ∝ 2^(e_k), e_k = w_k - |y - q_k|².
 *
 * y are the rows and q the points as the exponent sees them: times sqrt(log2(e) / (2 v)) in each
 * dimension, the points also times alpha; w is log2 of their weights. points and q are (dimension, count)
 * with `count` a multiple of 4 (padding has w -inf); out has for each row the mean of the points, then
 * log2 of the sum of 2^(e_k).
 */
export function posterior(
  y: usize, rows: i32, dimension: i32, points: usize, q: usize, w: usize, count: i32, exponents: usize, out: usize,
): void {
  for (let row = 0; row < rows; row++) {
    // The compiler drops what a dimension has no need of.
    if (dimension == 1) posterior_of(1, y, points, q, w, <usize>count << 2, exponents, out);
    else if (dimension == 2) posterior_of(2, y, points, q, w, <usize>count << 2, exponents, out);
    else posterior_of(3, y, points, q, w, <usize>count << 2, exponents, out);
    y += <usize>dimension << 2;
    out += <usize>(dimension + 1) << 2;
  }
}

// Beside the largest weight, one below this is nothing: 2,000 of them are less than float32 can hold.
const NOTHING: f32 = -36.0;

// @ts-ignore: decorator
@inline
function posterior_of(
  dimension: i32, y: usize, points: usize, q: usize, w: usize, length: usize, exponents: usize, out: usize,
): void {
  const y0 = v128.load32_splat(y);
  const y1 = dimension > 1 ? v128.load32_splat(y, 4) : y0, y2 = dimension > 2 ? v128.load32_splat(y, 8) : y0;
  let top = f32x4.splat(-Infinity);
  for (let k: usize = 0; k < length; k += 16) {
    let off = f32x4.sub(y0, v128.load(q + k));
    let exponent = minus_times4(v128.load(w + k), off, off);
    if (dimension > 1) {
      off = f32x4.sub(y1, v128.load(q + length + k));
      exponent = minus_times4(exponent, off, off);
    }
    if (dimension > 2) {
      off = f32x4.sub(y2, v128.load(q + 2 * length + k));
      exponent = minus_times4(exponent, off, off);
    }
    v128.store(exponents + k, exponent);
    top = f32x4.pmax(top, exponent);
  }
  const highest = max(
    max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1)),
    max(f32x4.extract_lane(top, 2), f32x4.extract_lane(top, 3)),
  );
  top = f32x4.splat(highest);
  let total = f32x4.splat(0), m0 = f32x4.splat(0), m1 = f32x4.splat(0), m2 = f32x4.splat(0);
  for (let k: usize = 0; k < length; k += 16) {
    const below = f32x4.sub(v128.load(exponents + k), top);
    if (!v128.any_true(f32x4.gt(below, f32x4.splat(NOTHING)))) continue;
    const weight = power4(f32x4.pmax(f32x4.splat(-126.0), below));
    total = f32x4.add(total, weight);
    m0 = times_plus4(weight, v128.load(points + k), m0);
    if (dimension > 1) m1 = times_plus4(weight, v128.load(points + length + k), m1);
    if (dimension > 2) m2 = times_plus4(weight, v128.load(points + 2 * length + k), m2);
  }
  const sum = across(total);
  store<f32>(out, across(m0) / sum);
  if (dimension > 1) store<f32>(out + 4, across(m1) / sum);
  if (dimension > 2) store<f32>(out + 8, across(m2) / sum);
  store<f32>(out + (<usize>dimension << 2), highest + <f32>Math.log2(sum));
}

// @ts-ignore: decorator
@inline
function across(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3);
}

/** The sum of distances between all rows of a, (n, dimension), and of b, (dimension, count) padded to 4. */
export function distances(a: usize, n: i32, b: usize, count: i32, padded: i32, dimension: i32): f64 {
  let sum: f64 = 0;
  const length = <usize>padded << 2, whole = <usize>(count & ~3) << 2;
  for (let row = 0; row < n; row++) {
    const own = a + <usize>(row * dimension) * 4;
    let part = f32x4.splat(0);
    let k: usize = 0;
    for (; k < whole; k += 16) part = f32x4.add(part, distance4(own, b, length, k, dimension));
    sum += across(part);
    if (k < <usize>count << 2) {
      const rest = distance4(own, b, length, k, dimension);
      if ((count & 3) > 0) sum += f32x4.extract_lane(rest, 0);
      if ((count & 3) > 1) sum += f32x4.extract_lane(rest, 1);
      if ((count & 3) > 2) sum += f32x4.extract_lane(rest, 2);
    }
  }
  return sum;
}

// @ts-ignore: decorator
@inline
function distance4(own: usize, b: usize, length: usize, k: usize, dimension: i32): v128 {
  let square = f32x4.splat(0);
  for (let d = 0; d < dimension; d++) {
    const off = f32x4.sub(f32x4.splat(load<f32>(own + (<usize>d << 2))), v128.load(b + <usize>d * length + k));
    square = times_plus4(off, off, square);
  }
  return f32x4.sqrt(square);
}

/**
 * Rows of the input of a convolution: for each pixel of its answer the `size` x `size` pixels that it
 * sees, (rows, size, size, channels), zeros outside.
 *
 * x holds pictures one after the other, (height, width, channels) each, whose pixels are taken four
 * times where `doubled` is 1 (0 otherwise); a row is a pixel of the answers, `first` the first of them.
 * `before` pixels of padding stand above and to the left.
 */
export function gather(
  x: usize, height: i32, width: i32, channels: i32, size: i32, stride: i32, before: i32, doubled: i32,
  out_height: i32, out_width: i32, first: i32, rows: i32, out: usize,
): void {
  const wide = <usize>channels << 2, area = out_height * out_width;
  for (let row = first; row < first + rows; row++) {
    const at = row % area, own = x + <usize>(row / area * height * width) * wide;
    const top = at / out_width * stride - before, left = at % out_width * stride - before;
    for (let y = top; y < top + size; y++) {
      for (let z = left; z < left + size; z++) {
        if (y >= 0 && z >= 0 && y < height << doubled && z < width << doubled) {
          copy(out, own + <usize>((y >> doubled) * width + (z >> doubled)) * wide, wide);
        } else {
          clear(out, wide);
        }
        out += wide;
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, bytes: usize): void {
  let k: usize = 0;
  for (; k + 16 <= bytes; k += 16) v128.store(to + k, v128.load(from + k));
  for (; k < bytes; k += 4) store<f32>(to + k, load<f32>(from + k));
}

// @ts-ignore: decorator
@inline
function clear(to: usize, bytes: usize): void {
  let k: usize = 0;
  for (; k + 16 <= bytes; k += 16) v128.store(to + k, f32x4.splat(0));
  for (; k < bytes; k += 4) store<f32>(to + k, 0);
}

/** Each row of a, then that of b: (rows, a_channels + b_channels). */
export function join(a: usize, a_channels: i32, b: usize, b_channels: i32, rows: i32, out: usize): void {
  const left = <usize>a_channels << 2, right = <usize>b_channels << 2;
  for (let row = 0; row < rows; row++) {
    copy(out, a, left);
    copy(out + left, b, right);
    a += left;
    b += right;
    out += left + right;
  }
}

/** out += x. */
export function add(x: usize, out: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 16) {
    v128.store(out + at, f32x4.add(v128.load(out + at), v128.load(x + at)));
  }
}

/**
 * The norm of a picture x, (positions, channels), over groups of channels (Wu & He 2018).
 *
 * `shift` is added to each channel before it; `weight` and `bias` scale and move it afterwards. All have
 * `channels` numbers, a multiple of 4, and so has each half of `scratch`.
 */
export function group_norm(
  x: usize, positions: i32, channels: i32, groups: i32, eps: f32, shift: usize, weight: usize, bias: usize,
  scratch: usize, out: usize,
): void {
  const wide = <usize>channels << 2, end = x + <usize>positions * wide, each = channels / groups;
  const centres = scratch, spreads = scratch + wide;
  for (let c: usize = 0; c < wide; c += 16) {
    let sum = f32x4.splat(0);
    for (let at = x + c; at < end; at += wide) sum = f32x4.add(sum, v128.load(at));
    v128.store(centres + c, f32x4.add(sum, f32x4.mul(f32x4.splat(<f32>positions), v128.load(shift + c))));
  }
  const count = <f64>(each * positions);
  for (let group = 0; group < groups; group++) {
    const from = <usize>(group * each) << 2, to = from + (<usize>each << 2);
    let sum: f64 = 0;
    for (let c = from; c < to; c += 4) sum += load<f32>(centres + c);
    for (let c = from; c < to; c += 4) store<f32>(centres + c, <f32>(sum / count) - load<f32>(shift + c));
  }
  for (let c: usize = 0; c < wide; c += 16) {
    const centre = v128.load(centres + c);
    let sum = f32x4.splat(0);
    for (let at = x + c; at < end; at += wide) {
      const off = f32x4.sub(v128.load(at), centre);
      sum = f32x4.add(sum, f32x4.mul(off, off));
    }
    v128.store(spreads + c, sum);
  }
  for (let group = 0; group < groups; group++) {
    const from = <usize>(group * each) << 2, to = from + (<usize>each << 2);
    let sum: f64 = 0;
    for (let c = from; c < to; c += 4) sum += load<f32>(spreads + c);
    const scale = <f32>(1 / Math.sqrt(sum / count + eps));
    for (let c = from; c < to; c += 4) store<f32>(spreads + c, scale * load<f32>(weight + c));
  }
  for (let c: usize = 0; c < wide; c += 16) {
    const centre = v128.load(centres + c), scale = v128.load(spreads + c), move = v128.load(bias + c);
    for (let at = x + c, to = out + c; at < end; at += wide, to += wide) {
      v128.store(to, f32x4.add(f32x4.mul(f32x4.sub(v128.load(at), centre), scale), move));
    }
  }
}

/**
 * Self-attention of a picture: softmax(Q K^T / sqrt(width)) V in each head (Vaswani et al. 2017, eq. 1).
 *
 * qkv is (positions, 3, heads, width) with `width` a multiple of 4, out (positions, heads, width);
 * scores has room for the positions, filled up to a multiple of 4.
 */
export function attention(qkv: usize, positions: i32, heads: i32, width: i32, scores: usize, out: usize): void {
  const wide = <usize>width << 2, all = wide * <usize>heads, step = all * 3, padded = <usize>((positions + 3) & ~3) << 2;
  const scale: f32 = 1 / <f32>Math.sqrt(<f64>width);
  for (let head = 0; head < heads; head++) {
    const own = qkv + <usize>head * wide;
    for (let row = 0; row < positions; row++) {
      const query = own + <usize>row * step;
      let highest: f32 = -Infinity;
      for (let k = 0; k < positions; k++) {
        const key = own + all + <usize>k * step;
        let product = f32x4.splat(0);
        for (let d: usize = 0; d < wide; d += 16) {
          product = times_plus4(v128.load(query + d), v128.load(key + d), product);
        }
        const score = across(product) * scale;
        store<f32>(scores + (<usize>k << 2), score);
        highest = max(highest, score);
      }
      for (let at = <usize>positions << 2; at < padded; at += 4) store<f32>(scores + at, -Infinity);
      let total = f32x4.splat(0);
      for (let at: usize = 0; at < padded; at += 16) {
        const part = exp4(f32x4.sub(v128.load(scores + at), f32x4.splat(highest)));
        v128.store(scores + at, part);
        total = f32x4.add(total, part);
      }
      const share = f32x4.splat(1 / across(total)), to = out + <usize>row * all + <usize>head * wide;
      for (let d: usize = 0; d < wide; d += 16) {
        let sum = f32x4.splat(0);
        for (let k = 0; k < positions; k++) {
          const value = own + all * 2 + <usize>k * step + d;
          sum = times_plus4(v128.load32_splat(scores + (<usize>k << 2)), v128.load(value), sum);
        }
        v128.store(to + d, f32x4.mul(sum, share));
      }
    }
  }
}

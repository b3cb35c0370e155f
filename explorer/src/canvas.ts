// Points, lines and a background by WebGL2: positions are mixed on the graphics side, so that a step
// of the slider sends two numbers.

import { saidHere } from "./reasons";

export interface Scene {
  a: Float32Array;
  b: Float32Array;
  weights: [number, number];
  count: number;
  dimension: number;
  projection: number[][];
  size: number;
  colour: [number, number, number, number];
}

const POINT_SHADER = `#version 300 es
in vec3 a; in vec3 b;
uniform vec2 mixing; uniform mat3x2 projection; uniform float size; uniform bool flat_;
void main() {
  vec3 z = mixing.x * a + mixing.y * b;
  vec2 p = projection * z;
  if (flat_) p.y = 1.6 * (fract(float(gl_VertexID) * 0.6180339887) - 0.5);
  gl_Position = vec4(p, 0.0, 1.0);
  gl_PointSize = size;
}`;

const POINT_COLOUR = `#version 300 es
precision mediump float;
uniform vec4 colour; out vec4 found;
void main() {
  float r = length(gl_PointCoord - 0.5);
  found = colour * smoothstep(0.5, 0.35, r);
}`;

const LINE_SHADER = `#version 300 es
in vec3 a;
uniform mat3x2 projection;
void main() { gl_Position = vec4(projection * a, 0.0, 1.0); }`;

const LINE_COLOUR = `#version 300 es
precision mediump float;
uniform vec4 colour; out vec4 found;
void main() { found = colour; }`;

const FILL_SHADER = `#version 300 es
const vec2 corners[4] = vec2[](vec2(-1., -1.), vec2(1., -1.), vec2(-1., 1.), vec2(1., 1.));
out vec2 place;
void main() { vec2 p = corners[gl_VertexID]; place = p * 0.5 + 0.5; gl_Position = vec4(p, 0.0, 1.0); }`;

const FILL_COLOUR = `#version 300 es
precision mediump float;
in vec2 place; uniform sampler2D image; out vec4 found;
void main() { vec4 c = texture(image, place); found = vec4(c.rgb * c.a, c.a); }`;

export class Canvas {
  private readonly gl: WebGL2RenderingContext;
  private readonly points: WebGLProgram;
  private readonly lines: WebGLProgram;
  private readonly fill: WebGLProgram;
  private readonly buffers: Record<string, { buffer: WebGLBuffer; held: Float32Array | null }> = {};
  private readonly texture: WebGLTexture;
  private filled: Uint8ClampedArray | null = null;

  constructor(private readonly element: HTMLCanvasElement) {
    // Without a graphics card smooth edges take three quarters of a frame; points smooth their own.
    const gl = element.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
    if (!gl) throw saidHere("noWebgl");
    this.gl = gl;
    this.points = program(gl, POINT_SHADER, POINT_COLOUR);
    this.lines = program(gl, LINE_SHADER, LINE_COLOUR);
    this.fill = program(gl, FILL_SHADER, FILL_COLOUR);
    this.texture = gl.createTexture()!;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  clear(): void {
    const { gl, element } = this, ratio = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [element.clientWidth * ratio, element.clientHeight * ratio].map(Math.round);
    if (element.width !== width || element.height !== height) {
      element.width = width;
      element.height = height;
    }
    gl.viewport(0, 0, element.width, element.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  /** A square picture over the whole panel, rgba, its first row at the bottom. */
  drawBackground(pixels: Uint8ClampedArray, side: number): void {
    const { gl } = this;
    gl.useProgram(this.fill);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    if (this.filled !== pixels) {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, side, side, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(pixels.buffer));
      for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.LINEAR);
      for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
      this.filled = pixels;
    }
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  drawPoints(name: string, scene: Scene): void {
    const { gl, points } = this;
    gl.useProgram(points);
    this.attribute(points, "a", scene.a, scene.dimension, `${name} a`);
    this.attribute(points, "b", scene.b, scene.dimension, `${name} b`);
    gl.uniform2f(gl.getUniformLocation(points, "mixing"), ...scene.weights);
    gl.uniform1f(gl.getUniformLocation(points, "size"), scene.size * Math.min(devicePixelRatio || 1, 2));
    gl.uniform1i(gl.getUniformLocation(points, "flat_"), scene.dimension === 1 ? 1 : 0);
    this.project(points, scene.projection);
    this.colour(points, scene.colour);
    gl.drawArrays(gl.POINTS, 0, scene.count);
  }

  /** Separate pieces of line, (pieces, 2, dimension). */
  drawLines(name: string, ends: Float32Array, dimension: number, projection: number[][], colour: Scene["colour"]): void {
    const { gl, lines } = this;
    if (!ends.length) return;
    gl.useProgram(lines);
    this.attribute(lines, "a", ends, dimension, name);
    this.project(lines, projection);
    this.colour(lines, colour);
    gl.drawArrays(gl.LINES, 0, ends.length / dimension);
  }

  private attribute(to: WebGLProgram, name: string, numbers: Float32Array, size: number, key = name): void {
    const { gl } = this;
    const kept = (this.buffers[key] ??= { buffer: gl.createBuffer()!, held: null });
    gl.bindBuffer(gl.ARRAY_BUFFER, kept.buffer);
    if (kept.held !== numbers) {
      gl.bufferData(gl.ARRAY_BUFFER, numbers, gl.STATIC_DRAW);
      kept.held = numbers;
    }
    const at = gl.getAttribLocation(to, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, gl.FLOAT, false, 0, 0);
  }

  private project(to: WebGLProgram, [first, second]: number[][]): void {
    const columns = [0, 1, 2].flatMap((k) => [first[k], second[k]]);
    this.gl.uniformMatrix3x2fv(this.gl.getUniformLocation(to, "projection"), false, columns);
  }

  private colour(to: WebGLProgram, [r, g, b, alpha]: Scene["colour"]): void {
    this.gl.uniform4f(this.gl.getUniformLocation(to, "colour"), r * alpha, g * alpha, b * alpha, alpha);
  }
}

function program(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const made = gl.createProgram()!;
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(kind)!;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) {
    throw new Error(gl.getProgramInfoLog(made) ?? "a shader does not link");
  }
  return made;
}

/** "#0072B2" as numbers from 0 to 1. */
export function rgb(hex: string): [number, number, number] {
  const value = parseInt(hex.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

// The arithmetic, off the page's own thread: it gives way between steps, so that it can be stopped.

import { flowLogDensity } from "./density";
import { type Denoiser, energyDistance, ExactDenoiser, NetworkDenoiser } from "./denoisers";
import { loadKernel, type Kernel } from "./kernel";
import { levelsOf, type Packed, Payload } from "./payload";
import { PictureDrawer, type LiveHeader } from "./picture_drawer";
import { CHUNK, Normals } from "./random";
import { RowDrawer } from "./rows";
import { trajectory } from "./samplers";
import type { TableHeader } from "./tables_state";
import type { FromWorker, Kind, Request, Source, Tasks, ToWorker } from "./tasks";

let kernel: Kernel;
let payload: Payload;
let denoisers = new Map<Source, Denoiser>();
let rowDrawer: RowDrawer | null = null;
let pictureDrawer: PictureDrawer | null = null;
const cancelled = new Set<number>();
const queue: Request[] = [];
let busy = false;

/** Every handler yields between pieces of work, and at last its answer. */
type Handler<K extends Kind> = (ask: Tasks[K]["ask"]) => Generator<Tasks[K]["answer"] | null>;

const HANDLERS: { [K in Kind]: Handler<K> } = {
  *walk({ source, method, options, levels, seed, chunk, first, rows }) {
    const started = performance.now(), d = payload.dimension;
    const normals = Normals.ofChunk(seed, chunk);
    // Of the noise of a whole chunk its part, as `run.sample` draws it.
    const noise = () => normals.part(CHUNK * d, first * d, (first + rows) * d);
    // The prior of alpha x_0 + sigma eps for data of unit variance, as `chunk_frames` has it.
    const scale = Math.hypot(levels[0].alpha, levels[0].sigma);
    const x = noise().map((v) => v * scale);
    const frames = new Float32Array(levels.length * rows * d);
    let k = 0;
    for (const state of trajectory(denoiser(source), x, levels, method, options, noise)) {
      const shown = payload.displayScale(levels[k]);
      for (let i = 0; i < rows * d; i++) frames[k * rows * d + i] = state[i] / shown;
      k += 1;
      yield null;
    }
    yield { frames, milliseconds: performance.now() - started };
  },
  *field({ source, x, level, next }) {
    const x_0 = denoiser(source).predict(x, level);
    const kept = next.sigma / level.sigma;
    yield { moved: x.map((v, k) => next.alpha * x_0[k] + kept * (v - level.alpha * x_0[k])) };
  },
  *density({ source, x, levels, steps }) {
    const found = denoiser(source);
    if (found instanceof ExactDenoiser) {
      yield { logs: found.logDensity(x, levels[levels.length - 1]) };
      return;
    }
    for (const logs of flowLogDensity(found, x, levels, steps)) yield logs && { logs };
  },
  *errors({ source, levels, seed }) {
    const rows = payload.floats("rows/real"), d = payload.dimension;
    const x_0 = Float64Array.from(rows.subarray(0, ERROR_ROWS * d)), normals = Normals.ofErrors(seed);
    const known = payload.header.exact === "distribution";
    const found = { network: [] as number[], least: [] as number[], unlearned: [] as number[] };
    for (const level of levels) {
      const eps = normals.draw(x_0.length);
      const x_t = x_0.map((v, k) => level.alpha * v + level.sigma * eps[k]);
      const guess = denoiser(source).predict(x_t, level);
      found.network.push(distance(guess, x_0));
      if (known) {
        const best = denoiser("exact").predict(x_t, level);
        found.least.push(distance(best, x_0));
        found.unlearned.push(distance(guess, best));
      }
      yield null;
    }
    yield known ? found : { ...found, least: null, unlearned: null };
  },
  *rows(ask) {
    const run = payload as unknown as Packed<TableHeader>;
    rowDrawer ??= new RowDrawer(kernel, run);
    yield* rowDrawer.draw(ask, levelsOf(run, "levels"));
  },
  *pictures(ask) {
    pictureDrawer ??= new PictureDrawer(kernel, payload as unknown as Packed<LiveHeader>);
    yield* pictureDrawer.draw(ask);
  },
  *energy({ a, b }) {
    yield { distance: energyDistance(kernel, a, b, payload.dimension) };
  },
};

/** Real rows that errors are taken on. */
const ERROR_ROWS = 1000;

/** Root mean square of what two arrays differ by. */
function distance(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < x.length; k++) sum += (x[k] - y[k]) ** 2;
  return Math.sqrt(sum / x.length);
}

function denoiser(source: Source): Denoiser {
  let found = denoisers.get(source);
  if (!found) {
    found = source === "exact" ? new ExactDenoiser(kernel, payload) : new NetworkDenoiser(kernel, payload, source);
    denoisers.set(source, found);
  }
  return found;
}

async function work(): Promise<void> {
  if (busy) return;
  busy = true;
  for (let request = queue.shift(); request; request = queue.shift()) {
    const { id, kind, ask } = request;
    try {
      kernel ??= await loadKernel();
      const steps = (HANDLERS[kind] as Handler<Kind>)(ask as never);
      let breath = performance.now(), pieces = 0;
      for (const answer of steps) {
        if (performance.now() - breath > 10) {
          await otherMessages();
          breath = performance.now();
        }
        if (cancelled.has(id)) break;
        if (answer) reply({ id, answer });
        else if (kind === "pictures") reply({ id, pieces: ++pieces });
      }
    } catch (error) {
      reply({ id, error: error instanceof Error ? error.message : String(error) });
    }
    cancelled.delete(id);
  }
  busy = false;
}

const turn = new MessageChannel();

/** Let what was sent meanwhile be received. A timer would wait for 4 ms each time. */
function otherMessages(): Promise<unknown> {
  return new Promise((resolve) => {
    turn.port1.onmessage = resolve;
    turn.port2.postMessage(null);
  });
}

function reply(message: FromWorker): void {
  postMessage(message);
}

onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if ("load" in data) {
    payload = new Payload(data.load);
    // Another run has other sizes: memory of its own, and the old one is let go.
    denoisers = new Map();
    rowDrawer = null;
    pictureDrawer = null;
    kernel = undefined as unknown as Kernel;
  } else if ("cancel" in data) {
    if (busy || queue.length) cancelled.add(data.cancel);
  } else {
    queue.push(data);
    void work();
  }
};

// A run of pictures on the screen: what was chosen, what Python or this page has drawn, and which moment is looked at.

import { batch, computed, effect, signal } from "@preact/signals";

import { Replaced } from "./engine";
import { Packed } from "./payload";
import type { LiveHeader } from "./picture_drawer";
import { channelsOf, drawHere, type Found, type Here, type Progress } from "./pictures_live";
import { type Reason, type Saying, sayingOf } from "./reasons";
import { cancel, connected, draw, type Draw, drawing, fitting, served } from "./server";
import { engine } from "./state";

/** A moment of a walk, as it was reached after so many steps. */
interface Stop {
  step: number;
  alpha: number;
  sigma: number;
}

/** What every walk says of itself. */
export interface WalkHeader {
  steps: number;
  stops: Stop[];
  labels?: string[] | null;
  seconds: number;
  /** Network calls. */
  calls: number;
}

interface StoredWalk extends WalkHeader {
  guidance: number;
  few: number;
}

interface StoredFills extends WalkHeader {
  masks: string[];
  pictures: number;
  draws: number;
}

export interface PicturesHeader extends LiveHeader {
  classes: string[];
  /** Whether a class may be followed more or less. */
  guided: boolean;
  sampling: { sampler: string; steps: number; few: number; guidance: number };
  calls: number[];
  most_steps: number | null;
  /** Whether a PNG holds the run's pictures exactly. */
  exact: boolean;
  real_labels?: string[] | null;
  /** Of a page without a server: what was drawn beforehand, why, and what its file has no room for. */
  walks?: StoredWalk[];
  fills?: StoredFills;
  why?: Reason;
  left_out?: { guidance: number[]; few: number[]; fills: boolean; pictures: number; stops: number };
}

/** Pictures on their way from noise. */
export interface Walk extends WalkHeader {
  noisy: Uint8Array;
  clean: Uint8Array;
  /** Which of the pictures in the arrays are shown. */
  places: number[];
  /** How many there are in the arrays. */
  held: number;
  /** What was asked for, to know when it is no longer what is chosen. */
  key: string;
  /** Whether these are all of them. */
  isWhole: boolean;
}

export type Mode = "new" | "fill";
/** As the sampler has a picture, or as the network predicts it from there. */
export type View = "noisy" | "clean";

export const MOST_GUIDANCE = 10;

export const run = signal<Packed<PicturesHeader> | null>(null);
/** Whether this page draws by itself; and whether what is chosen is drawn, by it or by a server. */
export const isLive = computed(() => !served && run.value?.header.live != null);
export const isDrawn = computed(() => served || isLive.value);
export const mode = signal<Mode>("new");
export const view = signal<View>("noisy");
export const walks = { new: signal<Walk | null>(null), fill: signal<Walk | null>(null) };
export const walk = computed(() => walks[mode.value].value);

export const label = signal<string | null>(null);
export const guidance = signal(1);
export const steps = signal(50);
export const few = signal(0);
export const count = signal(16);
export const seed = signal(0);

/** Which real picture is filled in, the part of it (1: made anew), its class, and how many times. */
export const picture = signal(0);
export const mask = signal(new Uint8Array());
export const fillLabel = signal<string | null>(null);
export const draws = signal(4);
/** Without a server, which of the stored parts. */
export const stored = signal(0);

export const stop = signal(0);
export const playing = signal(false);
export const lastStop = computed(() => Math.max((walk.value?.stops.length ?? 1) - 1, 0));
/** The stop that is seen: the slider may stand further than a shorter walk goes. */
export const at = computed(() => Math.min(stop.value, lastStop.value));

export const busy = signal(false);
const progressHere = signal<Progress | null>(null);
/** How far what is waited for is, once something is known. */
export const progress = computed<Progress | null>(() => (served ? drawing.value : progressHere.value));
export const problem = signal<Saying | null>(null);

export const channels = computed(() => {
  const held = run.value;
  if (held?.has("real")) return held.shape("real")[3];
  if (held?.header.live) return channelsOf(held);
  return held?.has("walk/0/noisy") ? held.shape("walk/0/noisy")[4] : 1;
});

/** The pixels of a real picture. */
export function real(place: number): Uint8Array {
  const held = run.value!, size = held.shape("real").slice(1).reduce((a, b) => a * b);
  return held.pixels("real").subarray(place * size, (place + 1) * size);
}

export const realCount = computed(() => (run.value?.has("real") ? run.value.shape("real")[0] : 0));
export const realLabel = (place: number): string => run.value?.header.real_labels?.[place] ?? "";

/** The pixels of a picture of a walk at a stop. */
export function pixels(of: Walk, kind: View, moment: number, place: number): Uint8Array {
  const all = of[kind], size = all.length / of.stops.length / of.held;
  const from = (moment * of.held + place) * size;
  return all.subarray(from, from + size);
}

export const byMap = computed(() => few.value > 0);

/** What would draw what is chosen. */
const drawMessage = computed<Draw | null>(() => {
  const own = run.value?.header;
  if (!own) return null;
  return {
    type: "draw_pictures", seed: seed.value, pictures: count.value, label: label.value,
    guidance: own.guided && !byMap.value ? guidance.value : null,
    steps: byMap.value ? null : steps.value, calls: own.calls.length ? few.value : null,
  };
});

const fillMessage = computed<Draw | null>(() => {
  const own = run.value?.header;
  if (!own || !mask.value.length) return null;
  return {
    type: "fill_picture", seed: seed.value, draws: draws.value, picture: picture.value, label: fillLabel.value,
    guidance: own.guided ? guidance.value : null, steps: steps.value, mask: btoa(Array.from(mask.value, (v) => String.fromCharCode(v)).join("")),
  };
});

const wanted = computed(() => (mode.value === "new" ? drawMessage.value : fillMessage.value));
/** Whether something else is chosen than what is seen. */
export const stale = computed(() => {
  const found = walk.value, isIt = found?.key === JSON.stringify(wanted.value);
  return isDrawn.value && !(isIt && (found.isWhole || busy.value));
});
export const painted = computed(() => mask.value.reduce((sum, v) => sum + v, 0));

/** What this page is to draw of it. */
function here(): Here {
  const fills = mode.peek() === "fill", mapped = !fills && byMap.peek();
  const kept = fills ? { pixels: real(picture.peek()), known: mask.peek().map((v) => 1 - v) } : undefined;
  return {
    pictures: fills ? draws.peek() : count.peek(), seed: seed.peek(), label: (fills ? fillLabel : label).peek(), byMap: mapped,
    guidance: guidance.peek(), steps: mapped ? few.peek() : steps.peek(), kept,
  };
}

/** What the server draws, or this page, which tells of the first pictures before. */
async function found(message: Draw, tell: (some: Found) => void): Promise<Found> {
  if (isLive.peek()) return drawHere(engine, run.peek()!, here(), tell, (now) => { progressHere.value = now; });
  const answer = await draw(message);
  return {
    ...(answer.header as unknown as WalkHeader), noisy: answer.pixels("noisy"), clean: answer.pixels("clean"), held: answer.shape("noisy")[1],
  };
}

/** Of what is being drawn: where it is to be seen, and its key. */
let underWay: { mode: Mode; key: string } | null = null;

/** Have drawn what is chosen. */
export function ask(): void {
  const message = wanted.peek(), of = walks[mode.peek()];
  if (!message) return;
  const key = JSON.stringify(message), own = { mode: mode.peek(), key };
  underWay = own;
  busy.value = true;
  progressHere.value = problem.value = null;
  const show = (some: Found, isWhole = false) => {
    const before = of.value;
    of.value = { ...some, places: Array.from({ length: some.held }, (_, k) => k), key, isWhole };
    if (of !== walks[mode.value]) return;
    if (before) keepPlace(before, of.value);
    else stop.value = of.value.stops.length - 1;
  };
  found(message, (some) => batch(() => show(some))).then((all) => batch(() => {
    settle();
    show(all, true);
  }), (error: Error) => {
    if (error instanceof Replaced || underWay !== own) return;
    settle();
    if (connected.value !== "lost") problem.value = sayingOf(error); // else that is said already
  });
}

function settle(): void {
  underWay = null;
  busy.value = false;
}

/** The slider stays where it was between noise and picture, whatever the number of stops. */
function keepPlace(before: Walk, after: Walk): void {
  const [from, to] = [before, after].map((each) => each.stops.length - 1);
  stop.value = Math.round((Math.min(stop.peek(), from) / Math.max(from, 1)) * to);
}

/** Draw others, by the next seed. */
export function others(): void {
  seed.value = seed.value < Number.MAX_SAFE_INTEGER ? seed.value + 1 : 0;
}

/** Give up what is being drawn. */
export function giveUp(): void {
  cancel();
  engine.cancel("pictures");
  settle();
}

/** Another kind of run is shown. */
export function close(): void {
  run.value = null;
}

export function open(bytes: ArrayBuffer): void {
  const found = new Packed<PicturesHeader>(bytes), own = found.header;
  // After a break of the connection the same run comes again.
  if (JSON.stringify(run.peek()?.header) === JSON.stringify(own)) return;
  batch(() => {
    if (own.live) engine.load(bytes);
    run.value = found;
    walks.new.value = walks.fill.value = null;
    mode.value = "new";
    label.value = null;
    guidance.value = own.sampling.guidance;
    steps.value = own.sampling.steps;
    few.value = own.sampling.few;
    count.value = own.walks && own.classes.length ? 64 : 16;
    seed.value = own.seed;
    mask.value = new Uint8Array(own.height * own.width);
    choose(0);
    problem.value = null;
  });
}

export function choose(place: number): void {
  picture.value = place;
  fillLabel.value = realLabel(place) || null;
}

let settling = 0;

// What was drawn before the model was trained on is not its own any more.
effect(() => {
  if (!fitting.value) return;
  clearTimeout(settling);
  giveUp();
  walks.new.value = walks.fill.value = null;
  problem.value = null;
});

// A change of what is drawn draws it, once it has settled.
effect(() => {
  const chosen = drawMessage.value;
  if (fitting.value || !isDrawn.value || !chosen || mode.value !== "new") return;
  const key = JSON.stringify(chosen), own = underWay?.mode === "new";
  clearTimeout(settling);
  if (own && underWay?.key === key) return;
  const there = walks.new.peek();
  if (there?.key === key && there.isWhole) {
    // What was chosen meanwhile is not wanted any more.
    if (own) giveUp();
    return;
  }
  settling = window.setTimeout(ask, walks.new.peek() ? 300 : 0);
});

// Without a server, what is chosen is looked up.
effect(() => {
  const held = run.value;
  if (!held?.header.walks) return;
  const found = held.header.walks.findIndex((each) => each.few === few.value && (byMap.value || each.guidance === guidance.value));
  const number = Math.max(found, 0), own = held.header.walks[number];
  const size = held.shape(`walk/${number}/noisy`)[1];
  const places = Array.from({ length: size }, (_, k) => k)
    .filter((k) => label.value === null || own.labels?.[k] === label.value).slice(0, count.value);
  const before = walks.new.peek();
  walks.new.value = {
    ...own, noisy: held.pixels(`walk/${number}/noisy`), clean: held.pixels(`walk/${number}/clean`), held: size, places,
    key: String(number), isWhole: true,
  };
  if (!before) stop.value = own.stops.length - 1;
  else keepPlace(before, walks.new.peek()!);
});

effect(() => {
  const held = run.value, own = held?.header.fills;
  if (!held || !own) return;
  const first = (picture.value * own.masks.length + stored.value) * own.draws, size = held.header.height * held.header.width;
  walks.fill.value = {
    ...own, noisy: held.pixels("fill/noisy"), clean: held.pixels("fill/clean"), held: held.shape("fill/noisy")[1],
    places: Array.from({ length: own.draws }, (_, k) => first + k), key: String(first), isWhole: true,
  };
  mask.value = held.pixels("masks").slice(stored.value * size, (stored.value + 1) * size);
});

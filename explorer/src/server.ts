// The connection to `sfumato explore`, where the page is served: runs come in, fits are asked for, and
// of tables and pictures what is to be drawn.

import { computed, effect, signal } from "@preact/signals";

import { Replaced } from "./engine";
import { Packed, type RunHeader } from "./payload";
import { type Reason, Said, said, saidHere, type Saying } from "./reasons";
import { busy } from "./state";

export type Fit =
  | { type: "fit"; source: "drawn"; points: number[][]; steps: number | null }
  | { type: "fit"; source: "toy"; name: string; noise: number | null; steps: number | null }
  | { type: "fit"; source: "csv"; name: string; text: string; steps: number | null };

type Request = Fit | { type: "stop" } | { type: "go_on" };

/** What is to be drawn; its number is this module's. */
export type Draw =
  | { type: "draw_rows"; seed: number; rows: number; given: Record<string, number | string | null> }
  | { type: "fill_row"; seed: number; draws: number; row: number; columns: string[] }
  | {
    type: "draw_pictures"; seed: number; pictures: number; label: string | null; guidance: number | null;
    steps: number | null; calls: number | null;
  }
  | {
    type: "fill_picture"; seed: number; draws: number; picture: number; mask: string; label: string | null;
    guidance: number | null; steps: number | null;
  };

export interface State {
  type: "state";
  state: "empty" | "fitting" | "stopped" | "done";
  folder: string | null;
  command: string | null;
  /** The step that a run which is not being fitted has reached, where it is known. */
  reached: { step: number; steps: number } | null;
  toys: string[];
}

export interface Progress {
  type: "progress";
  step: number;
  steps: number;
  loss: number;
  rate: number;
  left: number;
}

/** How far a draw is. */
export interface Drawing {
  type: "drawing";
  request: number;
  done: number;
  of: number;
  left: number;
}

type Message = State | Progress | Drawing | { type: "error"; reason: Reason; request: number | null };

/** The header of an answer. */
export interface Answer extends RunHeader {
  request: number;
  /** Network calls, and seconds that they took. */
  calls: number;
  seconds: number;
}

/** The header of the page of a file: that of the run in it. */
interface Made extends RunHeader {
  request: number;
  file: RunHeader;
}

export const served = location.protocol.startsWith("http") && new URLSearchParams(location.search).has("token");
export const connected = signal<"no" | "yes" | "lost">("no");
export const state = signal<State | null>(null);
export const fitting = computed(() => state.value?.state === "fitting");
export const progress = signal<Progress | null>(null);
export const losses = signal<number[]>([]);
export const complaint = signal<Saying | null>(null);
/** Of the draw that is waited for, once something is known. */
export const drawing = signal<Drawing | null>(null);

type Open = (run: ArrayBuffer, how: { keep: boolean }) => void;

let socket: WebSocket | null = null;
/** Where runs go that come in. */
let open: Open = () => undefined;
/** Whether the run on the screen is the one that is being fitted: its settings stay as they are. */
let following = false;
/** The newest state of a fit, until what is on the screen has been drawn whole. */
const next = signal<ArrayBuffer | null>(null);

effect(() => {
  if (!next.value || busy.value) return;
  const content = next.value;
  next.value = null;
  open(content, { keep: following });
  following = fitting.peek();
});

/** Connect, again and again; runs that come in are opened so. */
export function connect(show: Open): void {
  open = show;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const token = new URLSearchParams(location.search).get("token") ?? "";
  socket = new WebSocket(`${scheme}//${location.host}/ws?token=${encodeURIComponent(token)}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => (connected.value = "yes");
  socket.onclose = () => {
    connected.value = "lost";
    for (const each of Object.values(waiting)) settle(each?.request, ({ reject }) => reject(saidHere("lostServer")));
    setTimeout(() => connect(show), 2000); // the server may be there still, or again
  };
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (!(data instanceof ArrayBuffer)) receive(JSON.parse(data));
    else if (new Packed(data).header.kind === "answer") {
      const answer = new Packed<Answer>(data);
      settle(answer.header.request, (each) => each.resolve(answer as Packed<never>));
    } else next.value = data;
  };
}

interface Waiting {
  request: number;
  resolve: (answer: Packed<never>) => void;
  reject: (error: Error) => void;
}

/** The newest draw, and the newest page, until they are answered: older ones are nobody's any more. */
const waiting: Record<"drawn" | "page", Waiting | null> = { drawn: null, page: null };
let requests = 0;

function settle(request: number | undefined, by: (each: Waiting) => void): void {
  const of = (["drawn", "page"] as const).find((each) => waiting[each] && waiting[each].request === request);
  if (!of) return;
  const each = waiting[of]!;
  waiting[of] = null;
  if (of === "drawn") drawing.value = null;
  by(each);
}

/** Nobody waits any more for what is drawn. */
export function cancel(): void {
  if (!waiting.drawn) return;
  settle(waiting.drawn.request, (each) => each.reject(new Replaced()));
  socket?.send(JSON.stringify({ type: "cancel" }));
}

/** Have something drawn; the promise of the one before is rejected with `Replaced`. */
export function draw(message: Draw): Promise<Packed<Answer>> {
  return request("drawn", message);
}

/** Have the page of a file made. */
export async function madePage(): Promise<{ file: RunHeader; html: Uint8Array<ArrayBuffer> }> {
  const answer: Packed<Made> = await request("page", { type: "make_page" });
  return { file: answer.header.file, html: answer.pixels("page") };
}

function request(of: keyof typeof waiting, message: Draw | { type: "make_page" }): Promise<Packed<never>> {
  settle(waiting[of]?.request, (each) => each.reject(new Replaced()));
  if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(saidHere("lostServer"));
  const request = (requests += 1);
  socket.send(JSON.stringify({ ...message, request }));
  return new Promise((resolve, reject) => (waiting[of] = { request, resolve, reject }));
}

function receive(message: Message): void {
  if (message.type === "error" && message.request !== null) {
    settle(message.request, (each) => each.reject(new Said(() => said(message.reason))));
  } else if (message.type === "error") complaint.value = () => said(message.reason);
  else if (message.type === "drawing") {
    if (message.request === waiting.drawn?.request) drawing.value = message;
  }
  else if (message.type === "progress") {
    if (message.step < (progress.value?.step ?? 0)) losses.value = [];
    progress.value = message;
    losses.value = [...losses.value.slice(-400), message.loss];
  } else {
    if (message.state !== "fitting") progress.value = null;
    state.value = message;
  }
}

export function ask(request: Request): void {
  complaint.value = null;
  if (request.type === "go_on") following = true;
  if (request.type === "fit") {
    following = false;
    losses.value = [];
  }
  socket?.send(JSON.stringify(request));
}

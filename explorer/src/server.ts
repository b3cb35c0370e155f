// The connection to `sfumato explore`, where the page is served: runs come in, fits are asked for.

import { effect, signal } from "@preact/signals";

import { busy, open } from "./state";

export type Request =
  | { type: "fit"; source: "drawn"; points: number[][]; steps: number }
  | { type: "fit"; source: "toy"; name: string; noise: number | null; steps: number }
  | { type: "fit"; source: "csv"; name: string; text: string; steps: number }
  | { type: "stop" }
  | { type: "go_on" };

export interface State {
  type: "state";
  state: "empty" | "fitting" | "stopped" | "done";
  folder: string | null;
  command: string | null;
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

type Message = State | Progress | { type: "error"; message: string };

export const served = location.protocol.startsWith("http") && new URLSearchParams(location.search).has("token");
export const connected = signal<"no" | "yes" | "lost">("no");
export const state = signal<State | null>(null);
export const progress = signal<Progress | null>(null);
export const losses = signal<number[]>([]);
export const complaint = signal("");

let socket: WebSocket | null = null;
/** Whether the run on the screen is the one that is being fitted: its settings stay as they are. */
let following = false;
/** The newest state of a fit, until what is on the screen has been drawn whole. */
const next = signal<ArrayBuffer | null>(null);

effect(() => {
  if (!next.value || busy.value) return;
  const content = next.value;
  next.value = null;
  open(content, { keep: following });
  following = state.peek()?.state === "fitting";
});

export function connect(): void {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const token = new URLSearchParams(location.search).get("token") ?? "";
  socket = new WebSocket(`${scheme}//${location.host}/ws?token=${encodeURIComponent(token)}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => (connected.value = "yes");
  socket.onclose = () => {
    connected.value = "lost";
    setTimeout(connect, 2000); // the server may be there still, or again
  };
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (data instanceof ArrayBuffer) next.value = data;
    else receive(JSON.parse(data));
  };
}

function receive(message: Message): void {
  if (message.type === "error") complaint.value = message.message;
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
  complaint.value = "";
  if (request.type === "go_on") following = true;
  if (request.type === "fit") {
    following = false;
    losses.value = [];
  }
  socket?.send(JSON.stringify(request));
}

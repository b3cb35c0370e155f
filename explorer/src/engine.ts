// The page's side of its workers: a task goes to the one that is free, and newer tasks of a name
// take the place of older ones.

import { saidHere } from "./reasons";
import { type FromWorker, type Kind, NO_MEMORY, type Request, type Tasks, type ToWorker } from "./tasks";
import PageWorker from "./worker?worker&inline";

interface Pending {
  request: Request;
  name: string;
  turn: number;
  tell?: (pieces: number) => void;
  resolve: (answer: never) => void;
  reject: (error: Error) => void;
}

/** Thrown to whoever waits for a task that another has replaced. */
export class Replaced extends Error {}

export class Engine {
  private workers: Worker[] = [];
  private readonly running = new Map<Worker, Pending>();
  private waiting: Pending[] = [];
  private next = 0;

  constructor(private readonly count = Math.min(4, Math.max(2, navigator.hardwareConcurrency || 2))) {}

  /** Give every worker the run; what was asked about the one before is forgotten. */
  load(payload: ArrayBuffer): void {
    this.cancel("");
    if (!this.workers.length) this.workers = Array.from({ length: this.count }, () => this.started());
    for (const worker of this.workers) this.send(worker, { load: payload });
  }

  private started(): Worker {
    const worker = new PageWorker();
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.receive(worker, data);
    worker.onerror = ({ message }) => this.fail(worker, message);
    return worker;
  }

  /**
   * Ask for something; tasks of one name are cancelled together by `cancel(name)`.
   *
   * Of those that wait the lowest turn comes first, so that both sides fill at one pace. `tell` hears
   * of pieces of the work that are done.
   */
  ask<K extends Kind>(
    name: string, kind: K, ask: Tasks[K]["ask"], turn = 0, tell?: (pieces: number) => void,
  ): Promise<Tasks[K]["answer"]> {
    const request = { id: this.next++, kind, ask } as Request;
    return new Promise((resolve, reject) => {
      const later = this.waiting.findIndex((each) => each.turn > turn);
      this.waiting.splice(later < 0 ? this.waiting.length : later, 0, { request, name, turn, tell, resolve, reject });
      this.dispatch();
    });
  }

  /** Forget the tasks whose names begin so. */
  cancel(name: string): void {
    const dropped = this.waiting.filter((each) => each.name.startsWith(name));
    this.waiting = this.waiting.filter((each) => !each.name.startsWith(name));
    for (const each of dropped) each.reject(new Replaced());
    for (const [worker, each] of this.running) {
      if (!each.name.startsWith(name)) continue;
      this.send(worker, { cancel: each.request.id });
      this.running.delete(worker);
      each.reject(new Replaced());
    }
    this.dispatch();
  }

  private dispatch(): void {
    for (const worker of this.workers) {
      if (this.running.has(worker)) continue;
      const pending = this.waiting.shift();
      if (!pending) return;
      this.running.set(worker, pending);
      this.send(worker, pending.request);
    }
  }

  private send(worker: Worker, message: ToWorker): void {
    worker.postMessage(message);
  }

  /** A worker that cannot start, or has come to an end: whoever waits for it is told why. */
  private fail(worker: Worker, message: string): void {
    const pending = this.running.get(worker);
    this.running.delete(worker);
    pending?.reject(message ? new Error(message) : saidHere("noWorker"));
  }

  private receive(worker: Worker, message: FromWorker): void {
    const pending = this.running.get(worker);
    if (!pending || pending.request.id !== message.id) return;
    if ("pieces" in message) return pending.tell?.(message.pieces);
    this.running.delete(worker);
    if ("error" in message) pending.reject(message.error === NO_MEMORY ? saidHere("noMemory") : new Error(message.error));
    else pending.resolve(message.answer as never);
    this.dispatch();
  }
}

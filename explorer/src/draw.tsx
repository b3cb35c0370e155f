// Paint a distribution, or take one, and fit it: only where the page is served. The run on the screen
// has the place of it, unless a person wants both.

import { computed, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { Choice, isInteger, useNumber } from "./controls";
import { ask, complaint, connected, type Fit, state } from "./server";
import { run } from "./shown";
import { text, thousands } from "./text";
import { dark } from "./theme";

/** Coordinates of what is painted: from -3 to 3. */
const REACH = 3;
const MOST = 20_000;
const LEAST = 100;
/** Of a training; the most as in sfumato/runs/explorer/messages.py. */
const LEAST_STEPS = 10, MOST_STEPS = 100_000;
/** Of a set's noise; as in sfumato/runs/explorer/messages.py. */
const MOST_NOISE = 1e6;
/** Bytes of a file: a message of the server's 8 MiB holds it, quoted. */
const LARGEST = 6 * 2 ** 20;

/** Two normal numbers (Box and Muller). */
function normals(): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random())), angle = 2 * Math.PI * Math.random();
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** What a person has chosen; null where it is open as long as there is no run. */
const chosen = signal<boolean | null>(null);
const isOpen = computed(() => chosen.value ?? (run.value === null && ["empty", "fitting"].includes(state.value?.state ?? "")));
/** Whether it stands beside the run. */
export const isBeside = computed(() => isOpen.value && run.value !== null);

export function DrawButton() {
  return (
    <button type="button" aria-expanded={isOpen.value} aria-controls="draw" data-testid="draw-button"
      onClick={() => (chosen.value = !isOpen.value)}>{text.value.fitTitle}</button>
  );
}

/** Have it fitted. What was painted is painted on while one watches, where there is room for both. */
function fit(asked: Fit): void {
  const room = matchMedia("(min-width: 1051px)").matches;
  chosen.value = asked.source !== "csv" && room ? true : null;
  if (!room) scrollTo({ top: 0 }); // there one sees how the fit stands
  ask(asked);
}

export function Draw() {
  const t = text.value, element = useRef<HTMLCanvasElement>(null);
  const points = useRef<number[][]>([]);
  const painted = useSignal(0), spread = useSignal(0.08), steps = useSignal("");
  const toy = useSignal(""), noise = useSignal(""), cursor = useSignal<[number, number] | null>(null);
  const noiseBox = useNumber(() => noise.value, (typed) => {
    const isRight = Number(typed) >= 0 && Number(typed) <= MOST_NOISE;
    if (isRight) noise.value = typed;
    return isRight;
  }, (typed) => text.value.refusedNoise(typed, thousands(MOST_NOISE), noise.value));
  const stepsBox = useNumber(() => steps.value, (typed) => {
    const isRight = typed === "" || isInteger(typed, LEAST_STEPS, MOST_STEPS);
    if (isRight) steps.value = typed;
    return isRight;
  }, (typed) => text.value.refusedSteps(typed, thousands(LEAST_STEPS), thousands(MOST_STEPS), steps.value));
  const ofSteps = () => (steps.value === "" ? null : Number(steps.value));
  const now = state.value, busy = now?.state === "fitting" || connected.value !== "yes";

  const paint = () => {
    const canvas = element.current;
    if (!canvas) return;
    const side = (canvas.width = canvas.height = 2 * canvas.clientWidth || 480), draw = canvas.getContext("2d")!;
    draw.fillStyle = dark.value ? "#56B4E9" : "#0072B2";
    draw.globalAlpha = 0.6;
    for (const [x, y] of points.current) {
      draw.fillRect(((x / REACH + 1) / 2) * side - 1, ((1 - y / REACH) / 2) * side - 1, 3, 3);
    }
    if (cursor.value) {
      draw.globalAlpha = 1;
      draw.strokeStyle = draw.fillStyle;
      draw.beginPath();
      draw.arc(((cursor.value[0] / REACH + 1) / 2) * side, ((1 - cursor.value[1] / REACH) / 2) * side, 9, 0, 7);
      draw.stroke();
    }
  };
  useEffect(paint, [painted.value, cursor.value, dark.value, isOpen.value]);

  const spray = (x: number, y: number, count: number) => {
    for (let k = 0; k < count && points.current.length < MOST; k++) {
      const [u, v] = normals();
      points.current.push([x + spread.value * u, y + spread.value * v]);
    }
    painted.value = points.current.length;
  };
  const stroked = (event: PointerEvent) => {
    if (!event.buttons) return;
    const box = element.current!.getBoundingClientRect();
    for (const each of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
      spray(REACH * ((2 * (each.clientX - box.left)) / box.width - 1), REACH * (1 - (2 * (each.clientY - box.top)) / box.height), 12);
    }
  };
  const typed = (event: KeyboardEvent) => {
    const ways: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const [x, y] = cursor.value ?? [0, 0], way = ways[event.key];
    const clamp = (v: number) => Math.min(Math.max(v, -REACH), REACH);
    if (way) cursor.value = [clamp(x + 0.15 * way[0]), clamp(y + 0.15 * way[1])];
    else if (event.key === " ") spray(x, y, 25);
    else return;
    event.preventDefault();
  };
  const readFile = async (file: File | undefined) => {
    if (!file) return;
    if (file.size > LARGEST) complaint.value = () => text.value.tooLarge(file.name);
    else fit({ type: "fit", source: "csv", name: file.name, text: await file.text(), steps: ofSteps() });
  };

  // Anywhere on the page: a browser would leave it for a file that is dropped beside a small target.
  useEffect(() => {
    const over = (event: DragEvent) => event.preventDefault();
    const drop = (event: DragEvent) => { event.preventDefault(); void readFile(event.dataTransfer?.files[0]); };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => { removeEventListener("dragover", over); removeEventListener("drop", drop); };
  });

  return (
    <section class="draw" id="draw" hidden={!isOpen.value} aria-label={t.fitTitle} data-testid="draw">
      <h2>{t.fitTitle}</h2>
      <p class="faint">{t.drawHere}</p>
      <canvas ref={element} class="paper" tabIndex={0} role="application" aria-label={t.drawHere} data-testid="paper"
        onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); stroked(event); }}
        onPointerMove={stroked} onKeyDown={typed} onFocus={() => (cursor.value ??= [0, 0])} onBlur={() => (cursor.value = null)} />
      <label class="row">{t.brush}
        <input type="range" min="0.01" max="0.5" step="0.01" value={spread.value} onInput={(event) => (spread.value = Number(event.currentTarget.value))} />
      </label>
      <div class="buttons">
        <button type="button" class="primary" data-testid="fit" disabled={busy || painted.value < LEAST}
          onClick={() => fit({ type: "fit", source: "drawn", points: points.current, steps: ofSteps() })}>{t.fitDrawn(painted.value)}</button>
        <button type="button" disabled={!painted.value} onClick={() => { points.current = []; painted.value = 0; }}>{t.clear}</button>
      </div>
      {painted.value > 0 && painted.value < LEAST && <p class="faint">{t.fitTooFew}</p>}
      <div class="toys">
        <Choice label={t.toy} value={toy.value} onPick={(v) => (toy.value = v)}
          items={[["", "–"], ...(now?.toys ?? []).map((name): [string, string] => [name, name])]} />
        {toy.value && (
          <>
            <label class="row">{t.toyNoise}<input {...noiseBox.box} min="0" max={MOST_NOISE} step="0.01" /></label>
            {noiseBox.problem}
            <button type="button" class="primary" data-testid="fit-toy" disabled={busy}
              onClick={() => fit({ type: "fit", source: "toy", name: toy.value, noise: noise.value === "" ? null : Number(noise.value), steps: ofSteps() })}>{t.fit}</button>
          </>
        )}
      </div>
      <label class="row">{t.csv}
        <input type="file" accept=".csv,text/csv" disabled={busy} onChange={(event) => void readFile(event.currentTarget.files?.[0])} />
      </label>
      <label class="row">{t.trainingSteps}<input {...stepsBox.box} min={LEAST_STEPS} max={MOST_STEPS} step="1" /></label>
      {stepsBox.problem}
    </section>
  );
}

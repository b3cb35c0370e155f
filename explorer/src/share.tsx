// What can be taken along: a picture, an animation, the command line.

import { useSignal } from "@preact/signals";
import { applyPalette, GIFEncoder, quantize } from "gifenc";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

import { download, stem } from "./download";
import { pending } from "./layers";
import { PageButton, PageState } from "./page_file";
import { captioned, COLOURS, nameOf } from "./panel";
import {
  calls, count, direction, eta, grid, hasExact, lastStop, lateNoise, noiseAtTheEnd, options, payload, playing, sampler, schedule, seed,
  type Side, startTooClean, steps, stop, together, withoutAverage,
} from "./state";
import { text } from "./text";
import { dark } from "./theme";
import { valueText } from "./timeline";

const SIZE = 480;

/** The panels with their names and the level, as one picture. */
function composed(): HTMLCanvasElement {
  const panels = [...document.querySelectorAll<HTMLElement>(".panel")];
  const made = document.createElement("canvas");
  [made.width, made.height] = [SIZE * panels.length, SIZE + 64];
  const draw = made.getContext("2d")!;
  draw.fillStyle = dark.value ? "#15181B" : "#FFFFFF";
  draw.fillRect(0, 0, made.width, made.height);
  draw.font = "600 16px system-ui, sans-serif";
  panels.forEach((panel, k) => {
    const side = panel.dataset.side as Side;
    draw.drawImage(panel.querySelector("canvas")!, k * SIZE + 8, 36, SIZE - 16, SIZE - 16);
    const names: Side[] = together.value && hasExact.value ? ["exact", "learned"] : [side];
    if (!captioned.value) {
      draw.fillStyle = dark.value ? "#E8EBEE" : "#22262B";
      draw.fillText(document.querySelector(".name.data")?.textContent ?? "", k * SIZE + 12, 24);
      return;
    }
    let across = k * SIZE + 12;
    for (const each of names) {
      draw.fillStyle = dark.value ? COLOURS[each].dark : COLOURS[each].light;
      draw.fillText(nameOf(each), across, 24);
      across += draw.measureText(nameOf(each)).width + 18;
    }
  });
  draw.font = "13px system-ui, sans-serif";
  draw.fillStyle = dark.value ? "#A9B1B8" : "#555C63";
  draw.fillText(`${payload.value?.header.name ?? ""} · ${valueText()}`, 12, SIZE + 50);
  return made;
}

async function animation(): Promise<Blob> {
  const gif = GIFEncoder(), before = stop.value, total = 48;
  playing.value = false;
  let palette: number[][] | null = null;
  for (let k = 0; k <= total; k++) {
    const share = direction.value === "reverse" ? k / total : 1 - k / total;
    stop.value = Math.round(share * lastStop.value);
    do await new Promise(requestAnimationFrame); while (pending.value);
    const frame = composed(), { width, height } = frame;
    const { data } = frame.getContext("2d")!.getImageData(0, 0, width, height);
    palette ??= quantize(data, 64); // The colours are the same in every frame.
    gif.writeFrame(applyPalette(data, palette), width, height, { palette, delay: k === total ? 1500 : 70 });
  }
  stop.value = before;
  gif.finish();
  return new Blob([gif.bytes() as Uint8Array<ArrayBuffer>], { type: "image/gif" });
}

/** Words of a shell, quoted where they must be. */
export function quoted(word: string): string {
  return /^[\w./+=:-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The option that gives a value, quoted as JSON where `--given` would read it as something else. */
export function asGiven(name: string, value: number | string | null): string[] {
  const plain = !/^"|=/.test(name), text = value === "" || /^"/.test(String(value)) ? JSON.stringify(value) : value ?? "";
  return ["--given", `${plain ? name : JSON.stringify(name)}=${text}`];
}

/** What draws the same points, but for the faults that this page alone has. */
function command(): string {
  const run = payload.value!, { folder, sampling } = run.header;
  const words = ["sfumato", "sample", folder ?? "RUN", "-n", String(count.value), "--seed", String(seed.value)];
  if (calls.value) return [...words, "--calls", String(calls.value), "--to", "points.csv"].map(quoted).join(" ");
  const chosen = noiseAtTheEnd.value ? "ancestral" : sampler.value, set: string[] = [];
  if (sampling.few) words.push("--calls", "0");
  words.push("--sampler", chosen, "--steps", String(steps.value));
  if (schedule.value) set.push(`sampling.schedule=${schedule.value}`);
  if (grid.value !== sampling.grid) set.push(`sampling.grid=${grid.value}`);
  if (chosen === "ancestral") {
    set.push(`sampling.options.variance=${options().variance}`, `sampling.options.last_step_noise=${noiseAtTheEnd.value}`);
  }
  if (chosen === "ddim" || chosen.endsWith("-sde")) set.push(`sampling.options.eta=${eta.value}`);
  // What is left out falls back to the run's own option, where there is one.
  const own = sampling.options.noise_below;
  if (chosen.endsWith("-sde") && (lateNoise.value || own !== undefined)) {
    set.push(`sampling.options.noise_below=${lateNoise.value ? (own ?? 1) : "1e9"}`);
  }
  return [...words, ...set.flatMap((each) => ["--set", each]), "--to", "points.csv"].map(quoted).join(" ");
}

export function Share() {
  const t = text.value, run = payload.value, busy = useSignal(false);
  if (!run) return null;
  const name = stem(run.header.name);
  const line = command(), onlyHere = !calls.value && (startTooClean.value || withoutAverage.value !== (run.header.sampling.weights === "last"));
  return (
    <section class="share" aria-label={t.share}>
      <div class="buttons">
        <button type="button" data-testid="png"
          onClick={() => composed().toBlob((made) => made && download(made, `${name}.png`))}>{t.png}</button>
        <button type="button" data-testid="gif" disabled={busy.value} onClick={async () => {
          busy.value = true;
          try {
            download(await animation(), `${name}.gif`);
          } finally {
            busy.value = false;
          }
        }}>{busy.value ? t.making : t.gif}</button>
        <PageButton run={run.header} />
      </div>
      <PageState run={run.header} />
      <Command line={line} title={onlyHere ? t.commandWithout : t.command} />
    </section>
  );
}

/** A command line and a button that copies it, beside others. */
export function Command({ line, title, children }: { line: string; title: string; children?: ComponentChildren }) {
  const t = text.value, done = useSignal<"copy" | "copied" | "selected">("copy"), code = useRef<HTMLElement>(null);
  return (
    <>
      <label class="command">{title}<code ref={code} data-testid="command">{line}</code></label>
      <div class="buttons">
        <button type="button" data-testid="copy" onClick={async () => {
          try {
            await navigator.clipboard.writeText(line);
            done.value = "copied";
          } catch { // without HTTPS from another machine, or in a frame that may not
            getSelection()!.selectAllChildren(code.current!);
            done.value = "selected";
          }
          setTimeout(() => (done.value = "copy"), 2000);
        }}>{t[done.value]}</button>
        {children}
      </div>
    </>
  );
}

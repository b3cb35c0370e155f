// A picture on which one paints what is to be made anew, with the mouse, a finger, or the keyboard.

import { useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";

import { channels, isDrawn, mask, painted, picture, real, run } from "./pictures_state";
import { picturesText as texts } from "./pictures_text";
import { rgba } from "./pixels";

/** About how many pixels of the screen its longer side has. */
const SIZE = 300;

/** Okabe & Ito's reddish purple: told apart from any grey, and from most of what a picture shows. */
const PAINT = "rgba(204, 121, 167, 0.8)";

/** The parts that a button takes, by how far down and across a pixel's middle is, from -1 to 1. */
const PARTS: Record<string, (down: number, across: number) => boolean> = {
  left: (_, across) => across < 0,
  right: (_, across) => across > 0,
  upper: (down) => down < 0,
  lower: (down) => down > 0,
  centre: (down, across) => Math.max(Math.abs(down), Math.abs(across)) <= 0.5,
};

type Place = [x: number, y: number];

export function Painter() {
  const t = texts.value, { height, width } = run.value!.header;
  const element = useRef<HTMLCanvasElement>(null), last = useRef<Place | null>(null);
  const brush = useSignal(Math.max(1, Math.round(Math.max(height, width) / 5)));
  const erase = useSignal(false), cursor = useSignal<Place | null>(null);
  const scale = Math.max(1, Math.round(SIZE / Math.max(height, width)));

  useSignalEffect(() => {
    const held = run.value;
    if (!held) return;
    show(element.current!, cursor.value, brush.value);
  });

  /** Paint from where the brush was to where it is, as long as the picture's own pixels. */
  function stroke(to: Place): void {
    const from = last.current ?? to, found = mask.value.slice();
    const parts = Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])) || 1, radius = brush.value / 2;
    for (let part = 0; part <= parts; part++) {
      const [x, y] = [0, 1].map((k) => from[k] + ((to[k] - from[k]) * part) / parts);
      for (let row = Math.max(0, Math.floor(y - radius)); row < Math.min(height, y + radius); row++) {
        for (let column = Math.max(0, Math.floor(x - radius)); column < Math.min(width, x + radius); column++) {
          const near = Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius;
          const under = Math.floor(x) === column && Math.floor(y) === row;
          if (near || under) found[row * width + column] = erase.value ? 0 : 1;
        }
      }
    }
    last.current = to;
    mask.value = found;
  }

  function placed(event: PointerEvent): Place {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  function typed(event: KeyboardEvent): void {
    const moves: Record<string, Place> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const by = moves[event.key], now = cursor.value ?? [width / 2, height / 2];
    if (by) cursor.value = [clamp(now[0] + by[0], width), clamp(now[1] + by[1], height)];
    else if (event.key === " ") {
      last.current = null;
      stroke(now);
    } else return;
    event.preventDefault();
  }

  const canvas = (
    <canvas ref={element} class={isDrawn.value ? "brush" : ""} width={width * scale} height={height * scale} data-testid="painter"
      {...(isDrawn.value
        ? {
          tabIndex: 0, role: "application", "aria-label": t.paintHint,
          onPointerDown: (event: PointerEvent) => {
            (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
            cursor.value = last.current = null;
            stroke(placed(event));
          },
          onPointerMove: (event: PointerEvent) => { if (event.buttons) stroke(placed(event)); },
          onPointerUp: () => (last.current = null),
          onKeyDown: typed,
          onBlur: () => (cursor.value = null),
        }
        : { role: "img", "aria-label": t.painted(painted.value, height * width) })} />
  );
  return (
    <div class="painter">
      {canvas}
      {isDrawn.value && (
        <>
          <p class="faint">{t.paintHint}</p>
          <div class="buttons">
            {Object.entries(PARTS).map(([name, inside]) => (
              <button type="button" key={name} onClick={() => (mask.value = part(inside, height, width))}>{t.parts[name]}</button>
            ))}
            <button type="button" disabled={!painted.value} onClick={() => (mask.value = new Uint8Array(height * width))} data-testid="clear">{t.clear}</button>
          </div>
          <label class="row">{t.brush} <output>{brush.value}</output>
            <input type="range" min="1" max={Math.max(2, Math.round(Math.max(height, width) / 2))} step="1" value={brush.value} aria-label={t.brush}
              onInput={(event) => (brush.value = Number(event.currentTarget.value))} />
          </label>
          <label class="check">
            <input type="checkbox" checked={erase.value} onChange={(event) => (erase.value = event.currentTarget.checked)} />
            {t.erase}
          </label>
        </>
      )}
    </div>
  );
}

function clamp(v: number, most: number): number {
  return Math.min(Math.max(Math.floor(v) + 0.5, 0.5), most - 0.5);
}

function part(inside: (down: number, across: number) => boolean, height: number, width: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: height * width }, (_, k) => {
    const down = (2 * Math.floor(k / width) + 1 - height) / height, across = (2 * (k % width) + 1 - width) / width;
    return inside(down, across) ? 1 : 0;
  });
}

/** The picture, what is painted over it, and where the keyboard's brush is. */
function show(canvas: HTMLCanvasElement, cursor: Place | null, brush: number): void {
  const { height, width } = run.value!.header, draw = canvas.getContext("2d")!, scale = canvas.width / width;
  const one = document.createElement("canvas");
  [one.width, one.height] = [width, height];
  one.getContext("2d")!.putImageData(rgba(real(picture.value), width, height, channels.value), 0, 0);
  draw.imageSmoothingEnabled = false;
  draw.drawImage(one, 0, 0, canvas.width, canvas.height);
  draw.fillStyle = PAINT;
  mask.value.forEach((v, k) => v && draw.fillRect((k % width) * scale, Math.floor(k / width) * scale, scale, scale));
  if (!cursor) return;
  draw.lineWidth = 2;
  for (const [colour, wider] of [["#000000", 1], ["#FFFFFF", -1]] as const) {
    draw.strokeStyle = colour;
    draw.beginPath();
    draw.arc(cursor[0] * scale, cursor[1] * scale, Math.max((brush / 2) * scale + wider, 2), 0, 2 * Math.PI);
    draw.stroke();
  }
}

// A panel: points, paths, arrows and a background of one side, with axes, and what is under the pointer.

import { computed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { Canvas, rgb } from "./canvas";
import { type Hovered, hovered, pointAt } from "./hover";
import { arrows, density, pathLines } from "./layers";
import { type Saying, sayingOf } from "./reasons";
import {
  background, direction, forward, type Frames, frames, hasExact, mixAt, payload, showField, type Side, together,
} from "./state";
import { text, thousands } from "./text";
import { dark } from "./theme";
import { project, projection, ticks, turn } from "./view";

/** Okabe & Ito (2008): told apart with any common colour vision. */
export const COLOURS: Record<Side, { light: string; dark: string }> = {
  learned: { light: "#C04F00", dark: "#F0A04B" },
  exact: { light: "#0072B2", dark: "#56B4E9" },
};

function colourOf(side: Side): [number, number, number] {
  return rgb(dark.value ? COLOURS[side].dark : COLOURS[side].light);
}

export function Panel({ side }: { side: Side }) {
  const element = useRef<HTMLCanvasElement>(null);
  const canvas = useRef<Canvas | null>(null);
  const problem = useSignal<Saying | null>(null);
  const sides = sidesOf(side);

  useEffect(() => {
    try {
      canvas.current = new Canvas(element.current!);
      paint(canvas.current, sides);
    } catch (error) {
      problem.value = sayingOf(error);
    }
    const watch = new ResizeObserver(() => canvas.current && paint(canvas.current, sidesOf(side)));
    watch.observe(element.current!);
    return () => watch.disconnect();
  }, []);
  useSignalEffect(() => {
    const shown = sidesOf(side);
    // Read here, so that a change of any of them paints again.
    const parts = describe(shown);
    if (canvas.current) paintParts(canvas.current, parts);
  });

  const d = payload.value?.dimension ?? 2;
  return (
    <figure class="panel" data-side={side}>
      <figcaption>
        {direction.value === "forward" && <span class="name data">{text.value.noisedData(thousands(forward.value?.n ?? 0))}</span>}
        {captioned.value && sides.map((each) => <span key={each} class={`name ${each}`}>{nameOf(each)}</span>)}
      </figcaption>
      <div class="frame">
        <div class="stage" data-testid={`stage-${side}`}
          onPointerMove={(event) => pointed(boxed(event), side)}
          onPointerLeave={(event) => event.pointerType === "mouse" && (hovered.value = null)}
          onPointerDown={(event) => {
            if (d === 3) (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
            pointed({ ...boxed(event), buttons: 0 }, side); // a finger has no way to hover
          }}>
          <canvas ref={element} role="img" aria-label={nameOf(side)} />
          <Overlay side={side} />
          {problem.value && <p class="problem" role="alert">{problem.value()}</p>}
        </div>
        {d < 3 && <Axes vertical={d === 2} />}
      </div>
    </figure>
  );
}

/** Whether what is seen is a side's own: in the forward direction only its arrows and its density are. */
export const captioned = computed(() =>
  direction.value === "reverse" || showField.value || background.value === "model");

function sidesOf(side: Side): Side[] {
  return together.value && hasExact.value ? ["exact", "learned"] : [side];
}

export function nameOf(side: Side): string {
  const t = text.value;
  if (side === "learned") return t.learned;
  return payload.value?.header.exact === "distribution" ? t.exactDistribution : t.exactRows;
}

interface Pointing {
  box: DOMRect;
  clientX: number;
  clientY: number;
  movementX: number;
  movementY: number;
  buttons: number;
}

function boxed({ currentTarget, clientX, clientY, movementX, movementY, buttons }: PointerEvent): Pointing {
  const box = (currentTarget as HTMLElement).getBoundingClientRect();
  return { box, clientX, clientY, movementX, movementY, buttons };
}

function pointed(event: Pointing, side: Side): void {
  const { box } = event;
  if (event.buttons && payload.value?.dimension === 3) {
    const [about, up] = turn.value;
    turn.value = [about - event.movementX / 120, Math.min(Math.max(up + event.movementY / 120, -1.5), 1.5)];
    return;
  }
  const x = (2 * (event.clientX - box.left)) / box.width - 1;
  const y = 1 - (2 * (event.clientY - box.top)) / box.height;
  hovered.value = pointAt(side, x, y);
}

interface Parts {
  background: ReturnType<typeof density>;
  sides: { side: Side; mix: ReturnType<typeof mixAt>; paths: Float32Array | null; arrows: Float32Array | null }[];
  projection: number[][];
  dimension: number;
  dark: boolean;
  forward: boolean;
}

const BLACK: [number, number, number] = [0.13, 0.15, 0.17], WHITE: [number, number, number] = [0.91, 0.92, 0.93];

function describe(sides: Side[]): Parts {
  return {
    background: density(sides[sides.length - 1]),
    sides: sides.map((side) => ({ side, mix: mixAt(side), paths: pathLines(side), arrows: arrows(side) })),
    projection: projection.value,
    dimension: payload.value?.dimension ?? 2,
    dark: dark.value,
    forward: direction.value === "forward",
  };
}

function paint(canvas: Canvas, sides: Side[]): void {
  paintParts(canvas, describe(sides));
}

function paintParts(canvas: Canvas, { background, sides, projection: by, dimension, dark: night, forward }: Parts): void {
  canvas.clear();
  if (background) canvas.drawBackground(background.pixels, background.side);
  const lineDimension = Math.max(dimension, 2);
  const lineBy = dimension === 1 ? [by[0], [0, 1, 0]] : by;
  for (const { side, mix, paths, arrows: field } of sides) {
    const colour = colourOf(side), points = forward ? (night ? WHITE : BLACK) : colour;
    if (paths) canvas.drawLines(`${side} paths`, paths, lineDimension, lineBy, [...colour, 0.35]);
    if (mix) {
      const many = mix.n > 5000;
      canvas.drawPoints(side, {
        ...mix, count: mix.n, dimension, projection: by, size: many ? 3 : 4,
        colour: [...points, sides.length > 1 ? 0.5 : many ? 0.55 : 0.75],
      });
    }
    const ink: [number, number, number] = sides.length > 1 ? colour : night ? WHITE : BLACK;
    if (field) canvas.drawLines(`${side} arrows`, field, lineDimension, lineBy, [...ink, 0.75]);
  }
}

/** The path and the posterior of the point under the pointer. */
function Overlay({ side }: { side: Side }) {
  const found: Hovered | null = hovered.value;
  if (!found) return null;
  const held: Frames | null = frames[found.side].value;
  const across = (p: [number, number]) => `${50 + 50 * p[0]},${50 - 50 * p[1]}`;
  const own = found.side === side || together.value;
  const path = own && held && found.path ? found.path.map((z) => across(project(z, 0, found.row))).join(" ") : "";
  return (
    <svg class="overlay" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
      {own && found.posterior.map(({ z, weight }, k) => {
        const [x, y] = project(z, 0, found.row);
        return <circle key={k} class="may-become" cx={50 + 50 * x} cy={50 - 50 * y} r={0.5 + 1.6 * Math.sqrt(weight)} />;
      })}
      {path && <polyline class="path" points={path} vector-effect="non-scaling-stroke" />}
      {own && <circle class="pointed" cx={50 + 50 * found.at[0]} cy={50 - 50 * found.at[1]} r="1.2" />}
    </svg>
  );
}

function Axes({ vertical }: { vertical: boolean }) {
  const columns = payload.value?.header.columns ?? [];
  return (
    <>
      <div class="axis across" aria-hidden="true">
        {ticks(0).map(({ at, label }) => <span key={label} style={{ left: `${50 + 50 * at}%` }}>{label}</span>)}
        <em>{columns[0]}</em>
      </div>
      {vertical && (
        <div class="axis up" aria-hidden="true">
          {ticks(1).map(({ at, label }) => <span key={label} style={{ bottom: `${50 + 50 * at}%` }}>{label}</span>)}
          <em>{columns[1]}</em>
        </div>
      )}
    </>
  );
}

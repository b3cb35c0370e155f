// The slider between noise and data, under the errors by noise level: one axis for both.

import { useEffect, useRef } from "preact/hooks";

import { logRatio } from "./payload";
import { axis, compared, direction, errors, lastStop, level, playing, stop, walk } from "./state";
import type { Errors } from "./tasks";
import { text } from "./text";
import { still } from "./theme";

const HIGH = 100;

/** Where a log-SNR lies on the slider, from 0 to 1; stops are evenly spaced. */
function placeOf(logSnr: number): number {
  const levels = axis.value, at = logSnr / 2;
  let k = levels.findIndex((each) => logRatio(each) >= at);
  if (k < 0) k = levels.length - 1;
  if (k === 0) return 0;
  const [from, to] = [logRatio(levels[k - 1]), logRatio(levels[k])];
  const part = Number.isFinite(to) && Number.isFinite(from) ? (at - from) / (to - from) : 1;
  return (k - 1 + part) / lastStop.value;
}

interface Curve {
  name: keyof Errors;
  points: [number, number][];
}

/** Errors as lines over the slider, and the values at the top and at the bottom. */
function curves(): { lines: Curve[]; top: number; bottom: number } | null {
  const found = errors.value;
  if (!found || found.network.length !== compared.value.length) return null;
  const where = compared.value.map((each) => placeOf(2 * logRatio(each)));
  const named = (["least", "network", "unlearned"] as const).flatMap((name) => {
    const values = found[name];
    return values ? [{ name, values }] : [];
  });
  const all = named.flatMap(({ values }) => values).filter((v) => v > 0 && Number.isFinite(v));
  if (all.length < 2) return null;
  const [top, bottom] = [Math.max(...all), Math.max(Math.min(...all), Math.max(...all) * 1e-4)];
  const lines = named.map(({ name, values }) => ({
    name,
    points: values.map((v, k): [number, number] => [
      100 * where[k], HIGH * (1 - Math.log(Math.max(v, bottom) / bottom) / Math.log(top / bottom)),
    ]).sort((a, b) => a[0] - b[0]),
  }));
  return { lines, top, bottom };
}

/** An error at the slider's stop, between the levels that were measured. */
function errorHere(name: keyof Errors): number | null {
  const values = errors.value?.[name], now = level.value;
  if (!values || !now) return null;
  const ratios = compared.value.map(logRatio), at = logRatio(now);
  const next = ratios.findIndex((ratio) => ratio >= at);
  if (next <= 0) return values[next < 0 ? values.length - 1 : 0];
  const part = (at - ratios[next - 1]) / (ratios[next] - ratios[next - 1]);
  return values[next - 1] + part * (values[next] - values[next - 1]);
}

export function Timeline() {
  const t = text.value, now = level.value, found = curves();
  usePlaying();
  const share = lastStop.value ? (100 * Math.min(stop.value, lastStop.value)) / lastStop.value : 0;
  const shown = (v: number | null) => (v === null ? "–" : v.toPrecision(3));
  return (
    <section class="timeline" aria-label={t.slider}>
      {found && (
        <div class="errors">
          <div class="legend">
            <strong>{t.errors}</strong>
            <span class="key network">{t.errorOfNetwork} <b>{shown(errorHere("network"))}</b></span>
            {errors.value?.least && (
              <>
                <span class="key least">{t.errorLeast} <b>{shown(errorHere("least"))}</b></span>
                <span class="key unlearned">{t.errorUnlearned} <b>{shown(errorHere("unlearned"))}</b></span>
              </>
            )}
            <span class="faint">{t.errorAxis}, {found.bottom.toPrecision(1)} – {found.top.toPrecision(2)}</span>
          </div>
          <svg viewBox={`0 0 100 ${HIGH}`} preserveAspectRatio="none" aria-hidden="true">
            {found.lines.map(({ name, points }) => (
              <polyline key={name} class={name} points={points.map((p) => p.join(",")).join(" ")} vector-effect="non-scaling-stroke" />
            ))}
            <line class="now" x1={share} x2={share} y1="0" y2={HIGH} vector-effect="non-scaling-stroke" />
          </svg>
        </div>
      )}
      <input type="range" class="slider" min="0" max={lastStop.value} step="1" value={stop.value}
        aria-label={t.slider} aria-valuetext={valueText()} data-testid="slider"
        onInput={(event) => { playing.value = false; stop.value = Number(event.currentTarget.value); }} />
      <div class="ends"><span>{t.noise}</span><output data-testid="level">{now ? valueText() : ""}</output><span>{t.clean}</span></div>
      <div class="buttons">
        <button type="button" aria-label={t.back} title={t.back} onClick={() => move(-1)}>‹</button>
        <button type="button" class="primary" onClick={toggle} data-testid="play">{playing.value ? t.pause : t.play}</button>
        <button type="button" aria-label={t.on} title={t.on} onClick={() => move(1)}>›</button>
        <fieldset class="choice">
          <legend class="hidden">{t.direction}</legend>
          {(["reverse", "forward"] as const).map((each) => (
            <label key={each}>
              <input type="radio" name="direction" checked={direction.value === each} onChange={() => (direction.value = each)} />
              {each === "reverse" ? t.reverse : t.forward}
            </label>
          ))}
        </fieldset>
      </div>
    </section>
  );
}

/** The level under the slider, in symbols. */
export function valueText(): string {
  const now = level.value;
  if (!now) return "";
  const ratio = now.sigma / now.alpha, chosen = walk.value;
  const number = (v: number) => (v !== 0 && (v < 0.01 || v >= 1000) ? v.toExponential(1) : v.toPrecision(3));
  const steps = chosen && direction.value === "reverse" ? ` · ${text.value.stepsOf(chosen.levels.length - 1)}` : "";
  return `α = ${number(now.alpha)} · σ = ${number(now.sigma)} · σ/α = ${now.alpha ? number(ratio) : "∞"}${steps}`;
}

function move(by: number): void {
  playing.value = false;
  stop.value = Math.min(Math.max(stop.value + by, 0), lastStop.value);
}

function toggle(): void {
  if (!playing.value && ended()) stop.value = direction.value === "reverse" ? 0 : lastStop.value;
  playing.value = !playing.value;
}

function ended(): boolean {
  return direction.value === "reverse" ? stop.value >= lastStop.value : stop.value <= 0;
}

/** Seconds from one end to the other. */
const SECONDS = 5;

function usePlaying(): void {
  const last = useRef(0), carried = useRef(0);
  useEffect(() => {
    if (!playing.value) return;
    let frame = 0;
    last.current = performance.now();
    const advance = (time: number) => {
      carried.current += ((time - last.current) / 1000 / SECONDS) * lastStop.value;
      last.current = time;
      // Where movement is to be small, a few stills take its place.
      const size = still ? Math.ceil(lastStop.value / 8) : 1, whole = Math.floor(carried.current / size) * size;
      if (whole) {
        carried.current -= whole;
        const sign = direction.value === "reverse" ? 1 : -1;
        stop.value = Math.min(Math.max(stop.value + sign * whole, 0), lastStop.value);
        if (ended()) playing.value = false;
      }
      if (playing.value) frame = requestAnimationFrame(advance);
    };
    frame = requestAnimationFrame(advance);
    return () => cancelAnimationFrame(frame);
  }, [playing.value]);
}

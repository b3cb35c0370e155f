// Everything that can be changed, each change drawn at once.

import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

import { hasArrows } from "./layers";
import { logRatio } from "./payload";
import { corrects, SAMPLERS } from "./samplers";
import {
  axis, background, type Background, callChoices, calls, canDropAverage, count, direction, energies, energyLimit, eta, frames, grid,
  grids, hasExact, hasFlow, lateNoise, noiseAtTheEnd, payload, sampler, seed, showField, showPaths, type Side,
  schedule, startTooClean, stepChoices, steps, together, usualEta, walk, walkAlong, withoutAverage,
} from "./state";
import { text, thousands } from "./text";

export function Controls() {
  const t = text.value, run = payload.value;
  if (!run) return null;
  const plane = run.dimension === 2, byMap = calls.value > 0;
  const own = run.header.sampling.sampler;
  // Heun's method divides by alpha, which is 0 at a last level without signal.
  const divisible = axis.value[0]?.alpha > 0;
  return (
    <section class="controls">
      <Group title={t.show}>
        {hasExact.value && <Check of={together} label={t.together} />}
        <Check of={showPaths} label={t.paths} disabled={direction.value === "forward"} />
        {plane && <Check of={showField} label={t.field} />}
        {plane && showField.value && !hasArrows.value && <p class="faint" data-testid="no-arrows">{t.fieldEnd}</p>}
        {plane && (
          <Choice label={t.background} value={background.value} onPick={(v) => (background.value = v as Background)}
            items={[["none", t.none], ...(hasExact.value ? [["marginal", run.header.exact === "distribution" ? t.marginal : t.marginalRows] as [string, string]] : []), ...(hasFlow.value ? [["model", t.model] as [string, string]] : [])]} />
        )}
      </Group>
      <Group title={t.sampling}>
        {callChoices.value.length > 0 && (
          <Choice label={t.calls} value={String(calls.value)} onPick={(v) => (calls.value = Number(v))}
            items={[["0", t.bySampler], ...callChoices.value.map((k): [string, string] => [String(k), t.byMap(k)])]} />
        )}
        {byMap && (
          <p class="faint" data-testid="map-note">
            {t.mapNote} {hasExact.value && t.exactNote(sampler.value, t.stepsOf(steps.value))}
          </p>
        )}
        <Choice label={t.sampler} value={noiseAtTheEnd.value ? "ancestral" : sampler.value} disabled={byMap || noiseAtTheEnd.value}
          onPick={(v) => { sampler.value = v; eta.value = usualEta(v); }}
          items={Object.keys(SAMPLERS).filter((name) => name !== "heun" || divisible).map((name) => [name, name])} />
        {!(own in SAMPLERS) && <p class="faint">{t.samplerMissing(own)}</p>}
        <Schedule disabled={byMap} />
        <Choice label={t.steps} value={String(steps.value)} disabled={byMap} onPick={(v) => (steps.value = Number(v))}
          items={stepChoices.value.map((k) => [String(k), String(k)])} />
        <Choice label={t.grid} value={grid.value} disabled={byMap} onPick={(v) => walkAlong(schedule.value, v)}
          items={grids.value.map((name) => [name, name])} />
        {SAMPLERS[sampler.value]?.eta && !noiseAtTheEnd.value && (
          <label class="row">{t.eta} <output>{eta.value.toFixed(2)}</output>
            <input type="range" min="0" max={sampler.value === "ddim" ? 1 : 3} step="0.05" value={eta.value} disabled={byMap} aria-label={t.eta}
              onInput={(event) => (eta.value = Number(event.currentTarget.value))} />
          </label>
        )}
        {sampler.value.endsWith("-sde") && !noiseAtTheEnd.value && <Check of={lateNoise} label={t.lateNoise} disabled={byMap} />}
        <Choice label={t.points} value={String(count.value)} onPick={(v) => (count.value = Number(v))}
          items={[500, 2000, 10000].map((n) => [String(n), thousands(n)])} />
        <Integer label={t.seed} of={seed} least={0} most={Number.MAX_SAFE_INTEGER} />
      </Group>
      <Group title={t.faults}>
        <Check of={startTooClean} label={t.tooClean} disabled={byMap} />
        {startTooClean.value && !byMap && walk.value && (
          <p class="faint" data-testid="steps-left">{t.stepsLeft(walk.value.levels.length - 1, steps.value)}</p>
        )}
        <Check of={noiseAtTheEnd} label={t.lastNoise} disabled={byMap} />
        <Check of={withoutAverage} label={t.unaveraged} disabled={byMap || !canDropAverage.value} />
        {!canDropAverage.value && <p class="faint">{t.unaveragedMissing}</p>}
      </Group>
      <Measure />
    </section>
  );
}

/** The schedule whose levels are walked, and what is to be known of another than the run's own. */
function Schedule({ disabled }: { disabled: boolean }) {
  const t = text.value, { schedule: own, schedules } = payload.value!.header, names = Object.keys(schedules);
  if (!names.length) return <p class="faint">{t.scheduleFixed}</p>;
  const ends = schedules[schedule.value], learned = [axis.value[0], axis.value[axis.value.length - 2]].map((each) => 2 * logRatio(each));
  return (
    <>
      <Choice label={t.schedule} value={schedule.value} disabled={disabled} onPick={(v) => walkAlong(v, grid.value)}
        items={[["", t.ownSchedule(own === "own" ? "" : scheduleName(own))], ...names.map((name): [string, string] => [name, scheduleName(name)])]} />
      {ends && !disabled && (
        <p class="faint" data-testid="schedule-note">
          {t.along(signalLeft(ends[0]), ends.map(signed).join(" … "), learned.map(signed).join(" … "))}
          {(ends[0] < learned[0] - 0.1 || ends[1] > learned[1] + 0.1) && t.beyondLearned}
        </p>
      )}
    </>
  );
}

/** The name of a discrete schedule ends in how many levels it has. */
function scheduleName(name: string): string {
  const [, stem, levels] = /^(.*?)(?:-(\d+))?$/.exec(name)!;
  return levels ? text.value.scheduleOf(stem, thousands(Number(levels))) : stem;
}

/** ᾱ of a log-SNR: the share of the data's variance that is left. */
function signalLeft(logSnr: number): ComponentChildren {
  const left = 1 / (1 + Math.exp(-logSnr));
  return left < 0.001 ? power(left.toExponential(1).replace("e", " × 10^")) : left.toFixed(3);
}

function signed(v: number): string {
  return Number.isFinite(v) ? v.toFixed(1).replace("-", "−") : "−∞";
}

/** What the choice costs, beside what chance gives. */
function Measure() {
  const t = text.value, shown = (v: number | null) => (v === null ? "…" : v.toExponential(1).replace("e", " × 10^"));
  const run = payload.value;
  if (!run?.has("rows/real")) return null;
  const real = thousands(run.shape("rows/real")[0]);
  const sides: Side[] = hasExact.value ? ["learned", "exact"] : ["learned"];
  return (
    <Group title={t.measure(real)}>
      <dl class="measures" data-testid="measures">
        {sides.map((side) => (
          <div key={side} class={side}>
            <dt>{side === "learned" ? t.ofLearned : t.ofExact}</dt>
            <dd>{power(shown(energies[side].value))}{judged(energies[side].value)}</dd>
          </div>
        ))}
        {energyLimit.value !== null && <div><dt>{t.chance}</dt><dd>{power(shown(energyLimit.value))}</dd></div>}
      </dl>
      <Speed />
    </Group>
  );
}

/** In words, whether chance alone would reach it. */
function judged(value: number | null): string {
  const limit = energyLimit.value;
  return value === null || limit === null ? "" : value <= limit ? ` · ${text.value.within}` : ` · ${text.value.beyond}`;
}

function power(text: string): ComponentChildren {
  const [mantissa, exponent] = text.split("^");
  return exponent === undefined ? text : <>{mantissa.replace("-", "−")}<sup>{exponent.replace("-", "−").replace("+", "")}</sup></>;
}

function Speed() {
  const held = frames.learned.value, chosen = walk.value;
  if (!held || !chosen) return <p class="faint">{text.value.drawing}</p>;
  const noise = held.levels.map((each) => each.sigma / each.alpha), steps = noise.length - 1;
  const again = chosen.method === "heun" ? noise.slice(1).filter((s, k) => corrects(noise[k], s)).length : 0;
  return (
    <p class="faint" data-testid="speed">
      {text.value.drawnIn(thousands(held.rows), Math.round(held.milliseconds), steps + again)}
    </p>
  );
}

export function Group({ title, children }: { title: string; children: ComponentChildren }) {
  return <fieldset><legend>{title}</legend>{children}</fieldset>;
}

function Check({ of, label, disabled = false }: { of: Signal<boolean>; label: string; disabled?: boolean }) {
  return (
    <label class="check">
      <input type="checkbox" checked={of.value} disabled={disabled} onChange={(event) => (of.value = event.currentTarget.checked)} />
      {label}
    </label>
  );
}

/** A box for a number: what `take` returns false for is refused with a sentence, and the one before stays and is seen. */
export function useNumber(kept: () => string, take: (typed: string) => boolean, say: (typed: string) => string) {
  const id = useId(), refused = useSignal<{ typed: string; kept: string } | null>(null);
  const problem = refused.value?.kept === kept(); // what is chosen otherwise, later, puts an end to it
  const check = ({ currentTarget: box }: { currentTarget: HTMLInputElement }) => {
    const typed = box.validity.badInput ? text.value.noNumber : box.value.trim() || text.value.emptyField;
    refused.value = !box.validity.badInput && take(box.value.trim()) ? null : { typed, kept: kept() };
    box.value = kept();
  };
  return {
    box: {
      type: "number" as const, value: kept(), "aria-invalid": problem, "aria-describedby": problem ? id : undefined, onChange: check,
      // What is no number at all a browser shows and keeps to itself: to it an empty field has not changed.
      onBlur: (event: { currentTarget: HTMLInputElement }) => { if (event.currentTarget.validity.badInput) check(event); },
    },
    problem: problem && <p class="problem" role="alert" id={id}>{say(refused.value!.typed)}</p>,
  };
}

/** Whether what is typed is an integer within limits. */
export function isInteger(typed: string, least: number, most: number): boolean {
  const value = Number(typed);
  return typed !== "" && Number.isSafeInteger(value) && value >= least && value <= most;
}

/** The same for an integer within limits. */
export function useInteger(kept: () => number, set: (value: number) => void, least: number, most: number) {
  const { box, problem } = useNumber(() => String(kept()), (typed) => {
    const isRight = isInteger(typed, least, most);
    if (isRight) set(Number(typed));
    return isRight;
  }, (typed) => text.value.refused(typed, thousands(least), thousands(most), String(kept())));
  return { box: { ...box, min: least, max: most, step: "1" }, problem };
}

export function Integer({ label, of, least, most, disabled = false }: {
  label: string; of: Signal<number>; least: number; most: number; disabled?: boolean;
}) {
  const { box, problem } = useInteger(() => of.value, (value) => (of.value = value), least, most);
  return <><label class="row">{label}<input {...box} disabled={disabled} /></label>{problem}</>;
}

export function Choice({ label, value, items, onPick, disabled = false }: {
  label: string; value: string; items: [string, string][]; onPick: (value: string) => void; disabled?: boolean;
}) {
  return (
    <label class="row">{label}
      <select value={value} disabled={disabled} aria-label={label} onChange={(event) => onPick(event.currentTarget.value)}>
        {items.map(([key, name]) => <option key={key} value={key} selected={key === value}>{name}</option>)}
      </select>
    </label>
  );
}

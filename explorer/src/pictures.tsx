// The page of a run of pictures: a grid that comes out of noise, real ones beside it, and a brush.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { applyPalette, GIFEncoder, quantize } from "gifenc";

import "./pictures.css";
import { Choice, Integer } from "./controls";
import { download, stem } from "./download";
import { PageButton, PageState } from "./page_file";
import { Painter } from "./painter";
import { rgba } from "./pixels";
import * as held from "./pictures_state";
import {
  at, busy, byMap, channels, count, draws, few, fillLabel, guidance, isDrawn, isLive, label, lastStop, mode, type Mode, painted, picture,
  playing, problem, real, realCount, realLabel, run, seed, stale, steps, stop, stored, view, type View, type Walk, walk,
} from "./pictures_state";
import { leftOutOfPictures, picturesText as texts } from "./pictures_text";
import { said } from "./reasons";
import { fitting, served } from "./server";
import { asGiven, Command, quoted } from "./share";
import { text } from "./text";
import { dark, still } from "./theme";

export function Pictures() {
  const t = texts.value, own = run.value?.header;
  if (!own) return null;
  const fills = mode.value === "fill", canFill = realCount.value > 0 && (served || own.fills || (isLive.value && own.exact));
  return (
    <>
      <div class="look pictures">
        {!served && <p class="faint" data-testid="offline">{isLive.value ? ofLive() : ofFile()}</p>}
        {canFill && (
          <fieldset class="choice">
            <legend class="hidden">{t.mode}</legend>
            {(["new", "fill"] as Mode[]).map((each) => (
              <label key={each}>
                <input type="radio" name="mode" checked={mode.value === each} onChange={() => { playing.value = false; mode.value = each; }} />
                {t.modes[each]}
              </label>
            ))}
          </fieldset>
        )}
        {fills ? <Filling /> : <Drawn />}
        {walk.value && !fills && <Timeline />}
        {walk.value && <Share />}
        <p class="faint">{t.version(own.version)}</p>
      </div>
      <Settings />
    </>
  );
}

/** What a file that draws says of itself. */
function ofLive(): string {
  const can = run.value!.header.exact || !realCount.value;
  return `${text.value.offline} ${can ? "" : texts.value.noFills}`;
}

/** What a file of pictures drawn beforehand says of itself: why it holds them, and what it has no room for. */
function ofFile(): string {
  const { why } = run.value!.header;
  return `${texts.value.offline} ${why ? text.value.notLive(said(why)) : ""} ${leftOutOfPictures(run.value!.header.left_out)}`;
}

// ------------------------------------------------------------------------------------- pictures

/** Pixels from which on a picture is shown smaller than it is, where single pixels are no help. */
const LARGE = 130;

function Thumb({ pixels, name }: { pixels: Uint8Array; name: string }) {
  const element = useRef<HTMLCanvasElement>(null), { height, width } = run.value!.header;
  useLayoutEffect(() => {
    element.current!.getContext("2d")!.putImageData(rgba(pixels, width, height, channels.value), 0, 0);
  }, [pixels, width, height]);
  return <canvas ref={element} class={width > LARGE ? "large" : ""} width={width} height={height} role="img" aria-label={name} />;
}

function Grid({ of, named, across }: { of: Walk; named: string; across: number }) {
  const t = texts.value, old = (busy.value && !isLive.value) || stale.value;
  return (
    <ul class={`thumbs ${old ? "waiting" : ""}`} style={`--across: ${across}`} aria-label={named} data-testid="drawn">
      {of.places.map((place, k) => (
        <li key={k}>
          <Thumb pixels={held.pixels(of, view.value, at.value, place)} name={t.drawnAlt(k + 1, of.labels?.[place] ?? "")} />
          {of.labels?.[place]}
        </li>
      ))}
    </ul>
  );
}

/** How many in a row make a square. */
function square(count: number): number {
  return Math.ceil(Math.sqrt(count));
}

function Drawn() {
  const t = texts.value, found = walk.value, chosen = label.value;
  // Those that this page draws come one after the other; there is room for all of them from the first on.
  const many = isLive.value ? count.value : (found?.places.length ?? count.value);
  const places = Array.from({ length: realCount.value }, (_, k) => k).filter((k) => chosen === null || realLabel(k) === chosen);
  const shown = places.slice(0, Math.max(many, 4));
  return (
    <div class="beside">
      <section>
        <h2>{t.drawn(found?.places.length ?? count.value)}</h2>
        <State />
        {found && !isDrawn.value && chosen !== null && <p class="faint">{t.among(found.held)}</p>}
        {found && !found.places.length && <p class="faint">{t.noneOf}</p>}
        {found && <Grid of={found} named={t.drawn(found.places.length)} across={square(many)} />}
      </section>
      <section>
        <h2>{chosen === null ? t.real : t.realOf(chosen)}</h2>
        {!realCount.value && <p class="faint">{t.noReal}</p>}
        {realCount.value > 0 && !places.length && <p class="faint">{t.noneOf}</p>}
        <ul class="thumbs" style={`--across: ${square(Math.max(many, 4))}`} aria-label={t.real} data-testid="real">
          {shown.map((k) => (
            <li key={k}><Thumb pixels={real(k)} name={t.realAlt(k + 1, realLabel(k))} />{realLabel(k)}</li>
          ))}
        </ul>
      </section>
    </div>
  );
}

/** How far a draw is; or what it took, and a way to have what is chosen now. */
function State() {
  const t = texts.value, now = held.progress.value, found = walk.value;
  if (fitting.value) return <div class="state" data-testid="while-fitting">{t.whileFitting}</div>;
  if (problem.value) return <div class="state"><p class="problem" role="alert" data-testid="problem">{problem.value()}</p>{mode.value === "new" && <Again />}</div>;
  if (busy.value) {
    return (
      <div class="state" role="status" data-testid="progress">
        {now ? <><progress value={now.done} max={now.of} /> {t.progress(now.done, now.of, Math.ceil(now.left))}</>
          : t.drawing}
        <button type="button" onClick={held.giveUp} data-testid="cancel">{t.cancel}</button>
      </div>
    );
  }
  const fills = mode.value === "fill";
  return (
    <div class="state" data-testid="state">
      {stale.value ? (
        found || !fills ? <><span>{fills ? t.changed : t.cancelled}</span>{!fills && <Again />}</> : null
      ) : found && (
        <>
          <span>{(fills ? t.tookFills : t.took)(isDrawn.value ? found.places.length : found.held, duration(found.seconds), found.calls)}</span>
          {isDrawn.value && !fills && <button type="button" data-testid="others" onClick={held.others}>{t.others}</button>}
        </>
      )}
    </div>
  );
}

function duration(seconds: number): string {
  return seconds < 0.05 ? "< 0.1" : seconds.toFixed(seconds < 10 ? 1 : 0);
}

function Again() {
  return <button type="button" onClick={held.ask} data-testid="again">{texts.value.again}</button>;
}

// ------------------------------------------------------------------------------------ in-painting

function Filling() {
  const t = texts.value, own = run.value!.header, found = walk.value, of = own.height * own.width;
  const choices = own.fills?.pictures ?? realCount.value;
  return (
    <>
      <h2>{t.choose}</h2>
      <div class="strip">
        <ul class="thumbs" aria-label={t.choose}>
          {Array.from({ length: choices }, (_, k) => (
            <li key={k}>
              <button type="button" aria-pressed={picture.value === k} aria-label={t.realAlt(k + 1, realLabel(k))}
                onClick={() => held.choose(k)}>
                <Thumb pixels={real(k)} name="" />{realLabel(k)}
              </button>
            </li>
          ))}
        </ul>
      </div>
      <div class="painting">
        <section>
          <h2>{isDrawn.value ? t.paint : t.chosenPart}</h2>
          <Painter />
          {!served && own.fills && (
            <Choice label={t.part} value={String(stored.value)} onPick={(v) => (stored.value = Number(v))}
              items={own.fills.masks.map((each, k): [string, string] => [String(k), t.parts[each]])} />
          )}
          <p class="faint" data-testid="painted">{t.painted(painted.value, of)}</p>
        </section>
        <section>
          <h2>{t.result}</h2>
          {isDrawn.value && (
            <div class="buttons">
              <button type="button" class="primary" disabled={!painted.value || busy.value || fitting.value} onClick={held.ask} data-testid="fill">{t.fill}</button>
            </div>
          )}
          <State />
          {found ? <Grid of={found} named={t.filled} across={Math.min(found.places.length, 4)} /> : <p class="faint">{t.nothingPainted}</p>}
          {found && <Timeline />}
        </section>
      </div>
    </>
  );
}

// --------------------------------------------------------------------------------------- the time

function Timeline() {
  const t = texts.value, found = walk.value!, now = found.stops[at.value];
  usePlaying();
  const ratio = now.alpha ? now.sigma / now.alpha : Infinity;
  const shown = ratio === Infinity ? "∞" : ratio !== 0 && (ratio < 0.01 || ratio >= 1000) ? ratio.toExponential(1) : ratio.toPrecision(3);
  const said = `${t.step(now.step, found.steps)} · ${t.ratio} = ${ratio === 0 ? 0 : shown}`;
  return (
    <section class="timeline" aria-label={t.slider}>
      <input type="range" class="slider" min="0" max={lastStop.value} step="1" value={at.value} aria-label={t.slider}
        aria-valuetext={said} data-testid="slider"
        onInput={(event) => { playing.value = false; stop.value = Number(event.currentTarget.value); }} />
      <div class="ends"><span>{t.noise}</span><output data-testid="level">{said}</output><span>{t.clean}</span></div>
      <div class="buttons">
        <button type="button" aria-label={t.back} title={t.back} onClick={() => move(-1)}>‹</button>
        <button type="button" class="primary" data-testid="play" onClick={() => {
          if (!playing.value && at.value >= lastStop.value) stop.value = 0;
          playing.value = !playing.value;
        }}>{playing.value ? t.pause : t.play}</button>
        <button type="button" aria-label={t.on} title={t.on} onClick={() => move(1)}>›</button>
        <fieldset class="choice">
          <legend class="hidden">{t.look}</legend>
          {(["noisy", "clean"] as View[]).map((each) => (
            <label key={each}>
              <input type="radio" name="view" checked={view.value === each} onChange={() => (view.value = each)} />
              {t.views[each]}
            </label>
          ))}
        </fieldset>
      </div>
    </section>
  );
}

function move(by: number): void {
  playing.value = false;
  stop.value = Math.min(Math.max(at.value + by, 0), lastStop.value);
}

/** Milliseconds of a stop; where movement is to be small, longer. */
const STOP = still ? 900 : 200;

function usePlaying(): void {
  useEffect(() => {
    if (!playing.value) return;
    const timer = setInterval(() => {
      if (at.value < lastStop.value) stop.value = at.value + 1;
      if (at.value >= lastStop.value) playing.value = false;
    }, STOP);
    return () => clearInterval(timer);
  }, [playing.value]);
}

// ------------------------------------------------------------------------------------ the settings

function Settings() {
  const t = texts.value, own = run.value!.header, fills = mode.value === "fill";
  const chosen = fills ? fillLabel : label, walksOf = own.walks;
  const weights = walksOf?.filter((each) => each.few === 0).map((each) => each.guidance).sort((a, b) => a - b);
  const calls = walksOf ? walksOf.map((each) => each.few) : own.calls.length ? [0, ...own.calls] : [0];
  const mapped = byMap.value && !fills;
  if (!isDrawn.value && fills) return <section class="controls" />;
  return (
    <section class="controls">
      <fieldset>
        <legend>{t.settings}</legend>
        {own.classes.length > 0 && (
          <Choice label={t.label} value={chosen.value === null ? "" : `=${chosen.value}`} onPick={(v) => (chosen.value = v ? v.slice(1) : null)}
            items={[["", fills ? t.anyOne : t.anyLabel], ...own.classes.map((name): [string, string] => [`=${name}`, name])]} />
        )}
        {own.guided && !weights && (
          <label class="row">{t.guidance} <output data-testid="guidance">{guidance.value.toFixed(1)}</output>
            <input type="range" min="0" max={held.MOST_GUIDANCE} step="0.1" value={guidance.value} disabled={mapped} aria-label={t.guidance}
              onInput={(event) => (guidance.value = Number(event.currentTarget.value))} />
          </label>
        )}
        {own.guided && weights && weights.length > 1 && (
          <label class="row">{t.guidance} <output data-testid="guidance">{guidance.value.toFixed(1)}</output>
            <input type="range" min="0" max={weights.length - 1} step="1" value={weights.indexOf(guidance.value)} disabled={mapped}
              aria-label={t.guidance} aria-valuetext={guidance.value.toFixed(1)}
              onInput={(event) => (guidance.value = weights[Number(event.currentTarget.value)])} />
          </label>
        )}
        {new Set(calls).size > 1 && !fills && (
          <Choice label={t.by} value={String(few.value)} onPick={(v) => (few.value = Number(v))}
            items={[...new Set(calls)].sort((a, b) => a - b).map((k): [string, string] => [String(k), k ? t.byMap(k) : t.bySampler(own.sampling.sampler)])} />
        )}
        {fills && byMap.value && <p class="faint">{t.notForFills}</p>}
        {served && <Integer label={t.steps} of={steps} least={1} most={Math.min(1000, own.most_steps ?? 1000)} disabled={mapped} />}
        {own.live && <Choice label={t.steps} value={String(steps.value)} disabled={mapped} onPick={(v) => (steps.value = Number(v))} items={numbers(own.live.steps)} />}
        {fills ? (
          <Choice label={t.draws} value={String(draws.value)} onPick={(v) => (draws.value = Number(v))} items={numbers([1, 4, 8, 16])} />
        ) : (
          <Choice label={t.count} value={String(count.value)} onPick={(v) => (count.value = Number(v))} items={numbers(counts())} />
        )}
        {isDrawn.value && <Integer label={t.seed} of={seed} least={0} most={Number.MAX_SAFE_INTEGER} />}
      </fieldset>
    </section>
  );
}

/** Numbers of pictures to choose from; of a file no more than it holds. */
function counts(): number[] {
  const stored = run.value!.header.walks && run.value!.shape("walk/0/noisy")[1];
  return [1, 4, 16, 36, 64].filter((n) => !stored || n <= stored);
}

function numbers(values: number[]): [string, string][] {
  return values.map((n) => [String(n), String(n)]);
}

// ----------------------------------------------------------------------------------------- sharing

/** Pixels between two pictures, and about how many a picture's side has in what is shared. */
const GAP = 4, SHARED = 480;

/** The drawn pictures as one. */
function composed(of: Walk, moment: number): HTMLCanvasElement {
  const { height, width } = run.value!.header, across = Math.ceil(Math.sqrt(of.places.length));
  const down = Math.ceil(of.places.length / across), scale = Math.max(1, Math.floor(SHARED / across / Math.max(width, height)));
  const made = document.createElement("canvas"), one = document.createElement("canvas");
  [one.width, one.height] = [width, height];
  [made.width, made.height] = [across * (scale * width + GAP) + GAP, down * (scale * height + GAP) + GAP];
  const draw = made.getContext("2d")!;
  draw.fillStyle = dark.value ? "#15181B" : "#FFFFFF";
  draw.fillRect(0, 0, made.width, made.height);
  draw.imageSmoothingEnabled = false;
  of.places.forEach((place, k) => {
    one.getContext("2d")!.putImageData(rgba(held.pixels(of, view.value, moment, place), width, height, channels.value), 0, 0);
    const [x, y] = [k % across, Math.floor(k / across)];
    draw.drawImage(one, GAP + x * (scale * width + GAP), GAP + y * (scale * height + GAP), scale * width, scale * height);
  });
  return made;
}

async function animation(of: Walk): Promise<Blob> {
  const gif = GIFEncoder(), colours = channels.value === 1 ? 64 : 256;
  for (let k = 0; k < of.stops.length; k++) {
    await new Promise(requestAnimationFrame); // the page stays alive
    const frame = composed(of, k), { width, height } = frame;
    const { data } = frame.getContext("2d")!.getImageData(0, 0, width, height);
    const palette = quantize(data, colours);
    gif.writeFrame(applyPalette(data, palette), width, height, { palette, delay: k === of.stops.length - 1 ? 1500 : 200 });
  }
  gif.finish();
  return new Blob([gif.bytes() as Uint8Array<ArrayBuffer>], { type: "image/gif" });
}

function save(canvas: HTMLCanvasElement, name: string): void {
  canvas.toBlob((made) => made && download(made, name));
}

/** A real picture, or the mask, as `sfumato inpaint` reads it. */
function file(pixels: Uint8Array, of: number): HTMLCanvasElement {
  const { height, width } = run.value!.header, made = document.createElement("canvas");
  [made.width, made.height] = [width, height];
  made.getContext("2d")!.putImageData(rgba(pixels, width, height, of), 0, 0);
  return made;
}

/** What draws the same pictures. */
function command(): string {
  const { header: own } = run.value!, fills = mode.value === "fill", chosen = fills ? fillLabel.value : label.value;
  const words = ["sfumato", fills ? "inpaint" : "sample", own.folder ?? "RUN"];
  if (fills) words.push("picture.png", "mask.png");
  // Without a server a class is shown, and not drawn: the pictures are among all of them.
  const among = own.walks ? run.value!.shape("walk/0/noisy")[1] : count.value;
  words.push("-n", String(fills ? draws.value : among), "--seed", String(seed.value));
  if (chosen !== null && isDrawn.value) words.push(...asGiven("class", chosen));
  const led = own.guided && guidance.value !== own.sampling.guidance, other = steps.value !== own.sampling.steps;
  if (fills) {
    if (led) words.push("--set", `sampling.guidance=${guidance.value}`);
    if (other) words.push("--set", `sampling.steps=${steps.value}`);
  } else {
    if (few.value !== own.sampling.few) words.push("--calls", String(few.value));
    if (led && !byMap.value) words.push("--guidance", String(guidance.value));
    if (other && !byMap.value) words.push("--steps", String(steps.value));
  }
  return [...words, "--to", fills ? "filled.png" : "pictures.png"].map(quoted).join(" ");
}

function Share() {
  const t = texts.value, own = run.value!.header, making = useSignal(false), fills = mode.value === "fill";
  const found = walk.value!, name = stem(own.name), exact = own.exact || !fills;
  return (
    <section class="share" aria-label={t.share}>
      <div class="buttons">
        <button type="button" data-testid="png" onClick={() => save(composed(found, at.value), `${name}.png`)}>{t.png}</button>
        <button type="button" data-testid="gif" disabled={making.value} onClick={async () => {
          making.value = true;
          try {
            download(await animation(found), `${name}.gif`);
          } finally {
            making.value = false;
          }
        }}>{making.value ? t.making : t.gif}</button>
        <PageButton run={own} />
      </div>
      <PageState run={own} />
      {!exact && <p class="faint">{t.inexact}</p>}
      {exact && !(fills && (!isDrawn.value || stale.value)) && (
        <Command line={command()} title={fills ? t.fillCommand : t.command}>
          {fills && (
            <>
              <button type="button" data-testid="original" onClick={() => save(file(real(picture.value), channels.value), "picture.png")}>{t.original}</button>
              <button type="button" data-testid="mask" onClick={() => save(file(held.mask.value.map((v) => 255 * v), 1), "mask.png")}>{t.maskFile}</button>
            </>
          )}
        </Command>
      )}
    </section>
  );
}

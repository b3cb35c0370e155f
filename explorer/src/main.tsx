// The page: the run's own network, drawn with in the browser.

import { render } from "preact";

import "./style.css";
import { Controls } from "./controls";
import { Draw, DrawButton, isBeside } from "./draw";
import { FitState } from "./fit_state";
import { hovered, logDensities } from "./hover";
import { density, pending } from "./layers";
import { captioned, Panel } from "./panel";
import { decoded } from "./payload";
import { Pictures } from "./pictures";
import * as pictures from "./pictures_state";
import { connect, fitting, served, state as fitState } from "./server";
import { Share } from "./share";
import { open, run as shown } from "./shown";
import * as state from "./state";
import { failure, hasExact, payload, together } from "./state";
import { Tables } from "./tables";
import * as tables from "./tables_state";
import { language, text } from "./text";
import { Timeline } from "./timeline";
import { begin, Tour } from "./tour";
import { oneScale, reach } from "./view";

function App() {
  const t = text.value, run = shown.value, kind = run?.kind;
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
  return (
    <>
      <header class="top">
        <h1>{t.title}</h1>
        {run && <p>{t.subtitle(run.name)}</p>}
        <div class="buttons">
          {served && <DrawButton />}
          {kind === "points" && <button type="button" onClick={begin} data-testid="begin-tour">{t.tour}</button>}
          <button type="button" lang={language.value === "zh" ? "en" : "zh-CN"} data-testid="language"
            onClick={() => (language.value = language.value === "zh" ? "en" : "zh")}>{t.language}</button>
        </div>
      </header>
      {failure.value && <p class="problem" role="alert">{failure.value()}</p>}
      {served && <FitState />}
      <main class={isBeside.value ? "beside-draw" : run ? "" : "empty"}>
        {served && <Draw />}
        {!run && !fitting.value && <p class="faint wide">{fitState.value ? t.nothingYet : t.connecting}</p>}
        {kind === "points" && <Points />}
        {kind === "table" && <Tables />}
        {kind === "images" && <Pictures />}
      </main>
    </>
  );
}

/** A run of points: the network in this page, at work. */
function Points() {
  const both = hasExact.value && !together.value && captioned.value;
  return (
    <>
      <div class="look">
        <Tour />
        <div class={`panels ${both ? "two" : "one"}`}>
          <Panel key="learned" side="learned" />
          {both && <Panel key="exact" side="exact" />}
        </div>
        <Pointed />
        <Timeline />
        <Notes />
        <Share />
      </div>
      <Controls />
    </>
  );
}

/** In numbers what is under the pointer. */
function Pointed() {
  const t = text.value, found = hovered.value, logs = logDensities.value, run = payload.value;
  const number = (v: number | null) => (v === null ? "…" : Number.isNaN(v) ? "–" : v.toFixed(3));
  if (!found) return <p class="pointed-at faint">{t.hover}</p>;
  return (
    <p class="pointed-at" data-testid="pointed">
      <b>{t.hovered(found.row)}</b>{" · "}{t.logDensity}: {state.hasFlow.value && <>{t.flow} {number(logs.flow)}, </>}
      {hasExact.value && <>{run?.header.exact === "distribution" ? t.exactly : t.ofRows} {number(logs.exact)}</>}
      {found.places > 0 && <> · {t.posterior(found.places < 10 ? found.places.toFixed(1) : found.places.toFixed(0))}</>}
    </p>
  );
}

function Notes() {
  const t = text.value, d = payload.value?.dimension;
  return (
    <p class="faint">
      {d === 3 && <>{t.turnHint} </>}{d === 1 && <>{t.flatNote} </>}{d === 2 && !oneScale.value && <>{t.ownScales} </>}{d !== 3 && <>{t.unitNote} </>}
      {!served && <>{t.offline} </>}{t.version(payload.value?.header.version ?? "")}
    </p>
  );
}

// The offline file carries its run; the served page is sent one.
const carried = document.getElementById("payload")?.textContent?.trim();
if (carried) open(decoded(carried).buffer);
if (served) connect(open);
render(<App />, document.getElementById("page")!);

// What tests read: the samples as they were drawn, and what there is to ask.
Object.assign(window, { sfumato: { ...state, tables, pictures, language, shade: { pending, density }, view: { reach } } });

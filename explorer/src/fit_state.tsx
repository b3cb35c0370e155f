// How a fit stands, and what is to be said of it: over every run of a served page.

import { ask, complaint, connected, losses, progress, state } from "./server";
import { text } from "./text";

export function FitState() {
  const t = text.value, now = progress.value, fit = state.value;
  const reached = fit?.state === "stopped" ? fit.reached : null;
  return (
    <section class="fit-state" aria-label={t.fitState}>
      {connected.value === "lost" && <p class="problem" role="alert">{t.lostServer}</p>}
      {complaint.value && <p class="problem" role="alert" data-testid="complaint">{complaint.value()}</p>}
      <div class="progress" aria-live="polite">
        {now && (
          <>
            <progress max={now.steps} value={now.step} aria-label={t.fitState} />
            <p>{t.fitting(now.step, now.steps, now.rate, now.left)} · {t.loss} {now.loss.toPrecision(4)}</p>
          </>
        )}
        {reached && (
          <>
            <progress max={reached.steps} value={reached.step} aria-label={t.fitState} />
            <p data-testid="stopped-at">{t.stoppedAt(reached.step, reached.steps)}</p>
          </>
        )}
        <Losses />
        {fit?.state === "fitting" && <button type="button" data-testid="stop" onClick={() => ask({ type: "stop" })}>{t.stopFit}</button>}
        {fit?.state === "stopped" && <button type="button" class="primary" data-testid="go-on" onClick={() => ask({ type: "go_on" })}>{t.goOn}</button>}
        {fit?.folder && fit.state !== "fitting" && (
          <p class="faint">{t.saved(fit.folder)} {fit.command && <>{t.sameFit} <code class="inline">{fit.command}</code></>}</p>
        )}
      </div>
    </section>
  );
}

function Losses() {
  const values = losses.value, [top, bottom] = [Math.max(...values), Math.min(...values)];
  if (values.length < 2) return null;
  const line = values.map((v, k) => `${(100 * k) / (values.length - 1)},${30 - (28 * (v - bottom)) / (top - bottom || 1)}`);
  return (
    <svg class="loss" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label={text.value.loss}>
      <polyline points={line.join(" ")} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

// The page of a table: columns real beside drawn, under conditions that a person sets; and rows that
// are filled in.

import { signal } from "@preact/signals";

import { Choice, Group, Integer, useInteger } from "./controls";
import { download, stem } from "./download";
import { PageButton, PageState } from "./page_file";
import { said as reasonSaid } from "./reasons";
import { fitting, served } from "./server";
import { asGiven, Command, quoted } from "./share";
import {
  asked, begun, choicesOf, type Column, columns, conditions, count, drawing, drawn, emptied, empty, filled, FILLINGS, first,
  given, isLive, isMissing, isNumeric, type Mode, mode, real, refusal, row, second, seed, setCondition, stored, table, usual, type Value,
} from "./tables_state";
import { cellText, FONT, inks, Marginal, Numbers, Pair, type Shown } from "./tables_plots";
import { valueText } from "./tables_scales";
import { leftOutOfRows, words } from "./tables_text";
import { text, thousands } from "./text";

/** Columns whose conditions are shown at once. */
const FEW_CONDITIONS = 8;

/** Panels that can still be looked through. */
const MOST_PANELS = 30;

export function Tables() {
  const t = words.value, run = table.value!.header;
  return (
    <>
      <div class="look tables">
        {mode.value === "draw" && <Columns />}
        {!real.value && <p class="faint">{t.noReal}</p>}
        {fitting.value && <p class="faint" data-testid="while-fitting">{t.whileFitting}</p>}
        <Plots />
        <Speed />
        {run.rules.length > 0 && <p class="faint" data-testid="rules">{t.rules}: {run.rules.map((rule) => <code key={rule} class="inline">{rule}</code>)}</p>}
        {run.hidden.length > 0 && <p class="faint">{t.hidden(run.hidden.join(", "))}</p>}
        <p class="faint">
          {!served && <>{isLive.value ? text.value.offline : t.offline} </>}
          {stored.value?.why && <span data-testid="why">{text.value.notLive(reasonSaid(stored.value.why))} </span>}
          {stored.value && leftOutOfRows(stored.value) && <span data-testid="left">{leftOutOfRows(stored.value)} </span>}
          {text.value.version(run.version)}
        </p>
        <Share />
      </div>
      <section class={`controls sheet ${isOpen.value ? "open" : ""}`}>
        <div class="sheet-head">
          <Modes />
          <button type="button" class="sheet-button" aria-expanded={isOpen.value} data-testid="sheet"
            onClick={() => (isOpen.value = !isOpen.value)}>{sheetName()}</button>
        </div>
        {mode.value === "draw" ? <Conditions /> : <Cells />}
        <Sampling />
      </section>
    </>
  );
}

/** On a narrow screen what can be set lies under the plots, in a sheet that stays at its lower edge. */
const isOpen = signal(false);

function sheetName(): string {
  const t = words.value, n = given.value.length;
  if (mode.value === "fill") return t.row;
  return n ? `${t.conditions} (${n})` : t.conditions;
}

function Modes() {
  const t = words.value;
  if (!real.value) return null;
  return (
    <fieldset class="choice">
      <legend class="hidden">{t.mode}</legend>
      {(["draw", "fill"] as Mode[]).map((each) => (
        <label key={each}>
          <input type="radio" name="mode" checked={mode.value === each} onChange={() => (mode.value = each)} />
          {each === "draw" ? t.drawRows : t.fillRow}
        </label>
      ))}
    </fieldset>
  );
}

function Columns() {
  const t = words.value;
  const named = columns.value.map(({ name }, k): [string, string] => [String(k), name]);
  return (
    <div class="pickers">
      <Choice label={t.column} value={String(first.value)} items={[["-1", t.all], ...named]}
        onPick={(k) => { first.value = Number(k); if (k === "-1" || k === String(second.value)) second.value = -1; }} />
      {first.value >= 0 && (
        <Choice label={t.beside} value={String(second.value)} onPick={(k) => (second.value = Number(k))}
          items={[["-1", t.noSecond], ...named.filter(([k]) => k !== String(first.value))]} />
      )}
    </div>
  );
}

/** What is on the screen: rows that were drawn, or fillings of a row. */
function sets(): Shown | null {
  const rows = real.value;
  if (mode.value === "fill") {
    const found = filled.value;
    if (!found || !rows) return null;
    const at = row.value;
    const truth = (k: number) => (isMissing(rows.columns[k][at], columns.value[k]) ? null : rows.columns[k][at]);
    return { real: rows, without: null, drawn: found.rows, truth };
  }
  const base = begun.value;
  if (!base) return null;
  const isGiven = given.value.length > 0 && drawn.value !== null;
  return { real: rows, without: isGiven ? base : null, drawn: drawn.value?.rows ?? base, truth: null };
}

function Plots() {
  const t = words.value, shown = sets();
  if (!shown) return !drawing.value && !refusal.value && <p class="faint">{t.tickOne}</p>;
  const all = mode.value === "fill" ? filled.value!.empty : columns.value.map((_, k) => k);
  const ofOne = mode.value === "draw" && first.value >= 0;
  const wide = mode.value === "fill" && all.length === 1;
  return (
    <div class={drawing.value ? "drawn waiting" : "drawn"} aria-busy={drawing.value}>
      <Legend shown={shown} ofShares={!ofOne || second.value < 0} />
      {ofOne && second.value >= 0 && <Pair a={first.value} b={second.value} sets={shown} />}
      {ofOne && second.value < 0 && (
        <div class="plots wide-plot"><Marginal k={first.value} sets={shown} large /><Numbers k={first.value} sets={shown} /></div>
      )}
      {!ofOne && (
        <div class={wide ? "plots wide-plot" : "plots"}>
          {all.slice(0, MOST_PANELS).map((k) => <Marginal key={k} k={k} sets={shown} large={wide} />)}
          {wide && <Numbers k={all[0]} sets={shown} />}
        </div>
      )}
      {!ofOne && all.length > MOST_PANELS && <p class="faint">{t.tooMany(MOST_PANELS, all.length)}</p>}
      {(!ofOne || second.value < 0) && <p class="faint">{t.outermost}</p>}
    </div>
  );
}

function legendOf(shown: Shown): { name: string; look: "area" | "dashed" | "line" | "mark" }[] {
  const t = words.value, number = (rows: { n: number }) => thousands(rows.n);
  return [
    ...(shown.real ? [{ name: t.real(number(shown.real)), look: "area" as const }] : []),
    ...(shown.without ? [{ name: t.without, look: "dashed" as const }] : []),
    { name: shown.truth ? t.fillings(shown.drawn.n) : drawnAs(shown)(number(shown.drawn)), look: "line" as const },
    ...(shown.truth ? [{ name: t.truth, look: "mark" as const }] : []),
  ];
}

/** Where conditions were refused, rows without any are still shown. */
function drawnAs(shown: Shown): (n: string) => string {
  const t = words.value;
  if (shown.without) return t.given;
  return refusal.value && given.value.length ? t.unconditional : t.generated;
}

function Legend({ shown, ofShares }: { shown: Shown; ofShares: boolean }) {
  return (
    <div class="legend" data-testid="legend">
      {legendOf(shown).map(({ name, look }) => <span key={look} class={`table-key ${look}`}>{name}</span>)}
      {ofShares && <span class="faint">{words.value.share}</span>}
    </div>
  );
}

function Speed() {
  const t = words.value, found = mode.value === "fill" ? filled.value : drawn.value;
  return (
    <p class="faint" role="status">
      {refusal.value && <span class="problem" role="alert" data-testid="refusal">{refusal.value()}</span>}
      {!refusal.value && drawing.value && t.drawing}
      {!refusal.value && !drawing.value && found && found.calls > 0 && (
        <span data-testid="speed">
          {(mode.value === "fill" ? t.filledIn(found.rows.n, Math.round(1000 * found.seconds), found.calls)
            : t.drawnIn(thousands(found.rows.n), Math.round(1000 * found.seconds), found.calls))}
        </span>
      )}
      {found?.notes.map((note) => <span key={note}> {note}</span>)}
      {found?.unlike.map((k) => <span key={k}> {t.unlike(columns.value[k].name)}</span>)}
    </p>
  );
}

function Conditions() {
  const t = words.value;
  return (
    <Group title={t.conditions}>
      <p class="faint">{stored.value ? t.oneCondition : t.conditionsNote}</p>
      <div class={columns.value.length > FEW_CONDITIONS ? "scrolled" : "scrolled few"}>
        {columns.value.map((column, k) => column.kind !== "constant" && (!stored.value || choicesOf(k).length > 0) && (
          <Condition key={column.name} k={k} column={column} />
        ))}
      </div>
      <button type="button" data-testid="clear" disabled={!given.value.length}
        onClick={() => (conditions.value = new Map([...conditions.value].map(([k, each]) => [k, { ...each, on: false }])))}>{t.clear}</button>
    </Group>
  );
}

function Condition({ k, column }: { k: number; column: Column }) {
  const t = words.value, held = conditions.value.get(k) ?? { on: false, value: usual(k) };
  const choices = stored.value ? choicesOf(k) : null;
  return (
    <div class="condition" data-testid={`condition-${k}`}>
      <label class="check">
        <input type="checkbox" checked={held.on} disabled={fitting.value} onChange={(event) => setCondition(k, { on: event.currentTarget.checked })} />
        <span class="column-name">{column.name}</span>
        {isNumeric(column) && <output>{said(held.value, column)}</output>}
      </label>
      {!isNumeric(column) && (
        <select aria-label={t.valueOf(column.name)} disabled={fitting.value} value={held.value === null ? "null" : `=${held.value}`}
          onChange={({ currentTarget: { value } }) => setCondition(k, { value: value === "null" ? null : value.slice(1) })}>
          {(choices ?? [...column.categories!.slice(0, column.known), ...(column.missing ? [null] : [])]).map((value) => (
            <option key={String(value)} value={value === null ? "null" : `=${value}`}>{value ?? `(${t.isMissing})`}</option>
          ))}
        </select>
      )}
      {isNumeric(column) && choices && (
        <input type="range" min="0" max={choices.length - 1} step="1" value={Math.max(choices.indexOf(held.value), 0)} aria-label={t.valueOf(column.name)}
          aria-valuetext={said(held.value, column)} onInput={(event) => setCondition(k, { value: choices[Number(event.currentTarget.value)] })} />
      )}
      {isNumeric(column) && !choices && <Slider k={k} column={column} value={held.value} />}
    </div>
  );
}

function said(value: Value, column: Column): string {
  return value === null ? words.value.isMissing : valueText(Number(value), column);
}

function Slider({ k, column, value }: { k: number; column: Column; value: Value }) {
  const t = words.value, [low, high] = [column.low!, column.high!], stops = 200;
  const rough = (high - low) / stops || 1;
  const step = column.step ? column.step * Math.max(1, Math.ceil(rough / column.step - 1e-9)) : Number(rough.toPrecision(3));
  // Both ends of the range can be chosen, though the last step may be shorter.
  const last = Math.ceil((high - low) / step - 1e-9);
  const at = (stop: number) => Number(Math.min(low + stop * step, high).toPrecision(12));
  const set = (value: number) => setCondition(k, { value: column.kind === "date" ? Math.round(value) : value });
  return (
    <>
      <input type="range" min="0" max={last} step="1" disabled={fitting.value || value === null} value={value === null ? 0 : Math.round((Number(value) - low) / step)}
        aria-label={t.valueOf(column.name)} aria-valuetext={said(value, column)} onInput={(event) => set(at(Number(event.currentTarget.value)))} />
      {column.missing && (
        <label class="check small">
          <input type="checkbox" checked={value === null} disabled={fitting.value} aria-label={`${column.name}: ${t.isMissing}`}
            onChange={(event) => setCondition(k, { value: event.currentTarget.checked ? null : usual(k) })} />
          {t.isMissing}
        </label>
      )}
    </>
  );
}

/** The cells of a real row, which can be emptied. */
function Cells() {
  const t = words.value, rows = real.value, held = stored.value;
  const { box, problem } = useInteger(() => row.value + 1, (number) => choose(number - 1), 1, rows?.n ?? 1);
  if (!rows) return null;
  const places = held ? [...new Set(held.fillings.map((each) => each.row))] : null;
  const choose = (to: number) => {
    row.value = to;
    if (held) emptied.value = new Set(firstOf(to));
  };
  const firstOf = (to: number): number[] => {
    const at = held?.fillings.find((each) => each.row === to && each.column !== null)?.column;
    return at === undefined || at === null ? [] : [at];
  };
  const move = (by: number) => {
    const n = places?.length ?? rows.n, at = places ? Math.max(places.indexOf(row.value), 0) : row.value;
    const next = (at + by + n) % n;
    choose(places ? places[next] : next);
  };
  const can = (k: number) => !held || held.fillings.some((each) => each.row === row.value && each.column === k);
  return (
    <Group title={t.row}>
      <div class="buttons">
        <button type="button" aria-label={t.previous} onClick={() => move(-1)}>‹</button>
        <input {...box} aria-label={t.row} disabled={places !== null} data-testid="row" />
        <span>{t.rowOf(thousands(rows.n))}</span>
        <button type="button" aria-label={t.next} onClick={() => move(1)}>›</button>
      </div>
      {problem}
      <p class="faint">{row.value < table.value!.header.heldout ? t.heldout : t.trained}</p>
      <p class="faint">{held ? t.oneCell : t.tick}</p>
      <div class="scrolled" data-testid="cells">
        {columns.value.map((column, k) => {
          const missing = isMissing(rows.columns[k][row.value], column);
          return (
            <label key={column.name} class="check">
              <input type="checkbox" checked={empty.value.includes(k)} disabled={missing || fitting.value || !can(k)}
                onChange={({ currentTarget: { checked } }) => {
                  const others = held ? [] : [...emptied.value].filter((each) => each !== k);
                  emptied.value = new Set(checked ? [...others, k] : others);
                }} />
              <span class="column-name">{column.name}</span>
              <output class={missing ? "absent" : ""}>{cellText(rows, row.value, k)}</output>
            </label>
          );
        })}
      </div>
    </Group>
  );
}

function Sampling() {
  const t = words.value;
  if (stored.value) return null;
  const rows = [...new Set([500, 1000, 2000, 5000, count.value])].sort((a, b) => a - b);
  return (
    <Group title={text.value.sampling}>
      {mode.value === "draw" && (
        <Choice label={t.rows} value={String(count.value)} disabled={fitting.value} onPick={(n) => (count.value = Number(n))}
          items={rows.map((n): [string, string] => [String(n), thousands(n)])} />
      )}
      <Integer label={t.seed} of={seed} least={0} most={Number.MAX_SAFE_INTEGER} disabled={fitting.value} />
    </Group>
  );
}

/** What draws the same rows, or such rows, on the command line. */
function command(): string {
  const run = table.value!.header, folder = run.folder ?? "RUN", number = String(seed.value);
  if (mode.value === "fill") {
    return ["sfumato", "impute", folder, "row.csv", "--draws", String(FILLINGS), "--seed", number, "--to", "filled.csv"].map(quoted).join(" ");
  }
  const said = (fitting.value ? [] : given.value).flatMap(({ k, value }) => {
    const column = columns.value[k];
    return asGiven(column.name, asked(value, column));
  });
  const n = String(stored.value && drawn.value ? stored.value.rows : count.value);
  return ["sfumato", "sample", folder, "-n", n, "--seed", number, ...said, "--to", "rows.csv"].map(quoted).join(" ");
}

function Share() {
  const t = words.value;
  const { header } = table.value!, name = stem(header.name);
  const exact = served || isLive.value || !drawn.value;
  return (
    <section class="share" aria-label={text.value.share}>
      <div class="buttons">
        <button type="button" data-testid="png"
          onClick={async () => (await pictured()).toBlob((made) => made && download(made, `${name}.png`))}>{text.value.png}</button>
        {mode.value === "fill" && filled.value?.csv && (
          <button type="button" data-testid="row-csv"
            onClick={() => download(new Blob([filled.value!.csv], { type: "text/csv" }), "row.csv")}>{t.saveRow}</button>
        )}
        <PageButton run={header} />
      </div>
      <PageState run={header} />
      {(mode.value === "draw" || served) && !refusal.value && (
        <Command line={command()} title={mode.value === "fill" ? t.sameFilling : exact ? t.sameRows : t.likeRows} />
      )}
    </section>
  );
}

/** The plots as they stand on the page, with their legend, as one picture of twice the size. */
async function pictured(): Promise<HTMLCanvasElement> {
  const plots = [...document.querySelectorAll<SVGSVGElement>("svg.plot")];
  const boxes = plots.map((plot) => plot.getBoundingClientRect());
  const [left, top] = [Math.min(...boxes.map((box) => box.left)), Math.min(...boxes.map((box) => box.top))];
  const [right, bottom] = [Math.max(...boxes.map((box) => box.right)), Math.max(...boxes.map((box) => box.bottom))];
  const ink = inks(), scale = 2, margin = 12, head = 48, made = document.createElement("canvas");
  [made.width, made.height] = [(right - left + 2 * margin) * scale, (bottom - top + head + 2 * margin) * scale];
  const draw = made.getContext("2d")!;
  draw.scale(scale, scale);
  draw.fillStyle = ink.paper;
  draw.fillRect(0, 0, made.width, made.height);
  draw.font = `600 14px ${FONT}`;
  draw.fillStyle = ink.ink;
  draw.fillText(table.value!.header.name, margin, 20);
  draw.font = `12px ${FONT}`;
  let x = margin;
  for (const { name, look } of legendOf(sets()!)) {
    draw.fillStyle = look === "area" ? ink.real : look === "line" ? ink.drawn : ink.faint;
    draw.fillText(`■ ${name}`, x, 40);
    x += draw.measureText(`■ ${name}`).width + 16;
  }
  for (const [k, plot] of plots.entries()) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(plot))}`;
    await image.decode();
    draw.drawImage(image, boxes[k].left - left + margin, boxes[k].top - top + head + margin, boxes[k].width, boxes[k].height);
  }
  return made;
}

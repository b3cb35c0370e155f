// Plots of a table's columns, real rows beside drawn ones: each is one SVG with its colours in it, so
// that it can be kept as a picture.

import type { ComponentChildren } from "preact";

import {
  type Bar, barsOf, cut, edgesOf, histogram, percent, sharesOf, shown, sortedValues, summaryOf, ticksOf, valueText,
} from "./tables_scales";
import { columns, isMissing, isNumeric, type Rows } from "./tables_state";
import { words } from "./tables_text";
import { thousands } from "./text";
import { dark } from "./theme";

/** What is shown of a row set, and how. */
export interface Shown {
  /** Real rows, as areas; null where they are not at hand. */
  real: Rows | null;
  /** Rows drawn without conditions, as a dashed outline; null where the drawn ones are those. */
  without: Rows | null;
  /** What was drawn, as lines. */
  drawn: Rows;
  /** The value of the row that was filled in, which is marked; of a column that had none, null. */
  truth: ((k: number) => number | null) | null;
}

export function inks() {
  return dark.value
    ? { paper: "#15181B", ink: "#E8EBEE", faint: "#A9B1B8", line: "#3A4148", real: "#56B4E9", drawn: "#F0A04B" }
    : { paper: "#FFFFFF", ink: "#22262B", faint: "#59616A", line: "#D3D8DD", real: "#0072B2", drawn: "#C04F00" };
}

export const FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif';

function Figure({ width, height, title, label, children, testid }: {
  width: number; height: number; title: string; label: string; children: ComponentChildren; testid: string;
}) {
  const ink = inks();
  return (
    <svg class="plot" viewBox={`0 0 ${width} ${height}`} width={width} height={height} xmlns="http://www.w3.org/2000/svg"
      role="img" aria-label={label} data-testid={testid} font-family={FONT} font-size="11">
      <text x="2" y="13" font-size="12.5" font-weight="600" fill={ink.ink}>{title}</text>
      {children}
    </svg>
  );
}

/** In words what a plot of one column shows. */
function said(k: number, sets: Shown): string {
  const t = words.value, column = columns.value[k];
  const of = (rows: Rows, name: string) => {
    const { middle, spread, missing } = summaryOf(rows, k, column);
    const labels = isNumeric(column) ? [t.mean, t.spread] : [t.commonest, t.itsShare];
    return `${name}: ${labels[0]} ${middle}, ${labels[1]} ${spread}, ${t.missing} ${percent(missing)}`;
  };
  const parts = [sets.real && of(sets.real, t.real(String(sets.real.n))), of(sets.drawn, t.generated(String(sets.drawn.n)))];
  return `${column.name}. ${parts.filter(Boolean).join("; ")}`;
}

/** One column: a histogram of numbers or dates, bars of categories. */
export function Marginal({ k, sets, large = false }: { k: number; sets: Shown; large?: boolean }) {
  return isNumeric(columns.value[k]) ? <Histogram k={k} sets={sets} large={large} /> : <Bars k={k} sets={sets} large={large} />;
}

/** A line over bins, from one edge to the next. */
function stairs(shares: number[], x: (b: number) => number, y: (share: number) => number): string {
  return shares.map((share, b) => `${b ? "L" : `M${x(0)},${y(0)}L`}${x(b)},${y(share)}L${x(b + 1)},${y(share)}`).join("") +
    `L${x(shares.length)},${y(0)}`;
}

function Histogram({ k, sets, large }: { k: number; sets: Shown; large: boolean }) {
  const t = words.value, ink = inks(), column = columns.value[k];
  const edges = edgesOf([sets.real, sets.without ?? sets.drawn], k, column, large ? 48 : 28), low = edges[0], high = edges[edges.length - 1];
  const series = [sets.real, sets.without, sets.drawn].map((rows) => rows && histogram(rows, k, edges));
  const truth = sets.truth?.(k) ?? null;
  const { top, beyond } = topOf(series.map((each) => each && [...each.shares, each.missing]));
  const hasMissing = series.some((each) => each && each.missing > 0);
  const [width, height] = large ? [640, 320] : [260, 150];
  const [left, right, below] = large ? [44, hasMissing ? 66 : 12, 24] : [4, hasMissing ? 44 : 4, 20];
  const above = truth === null && !beyond ? 26 : 38;
  const x = (value: number) => left + ((value - low) / (high - low)) * (width - left - right);
  const y = (share: number) => height - below - Math.min(share / top, 1.02) * (height - above - below);
  const bin = (b: number) => Number(x(edges[b]).toFixed(2));
  const bar = large ? 36 : 26, at = width - right + (right - bar) / 2;
  const looks = [
    { fill: ink.real, "fill-opacity": 0.35, stroke: "none" },
    { fill: "none", stroke: ink.faint, "stroke-width": 1.2, "stroke-dasharray": "3 2" },
    { fill: "none", stroke: ink.drawn, "stroke-width": 1.8 },
  ];
  return (
    <Figure width={width} height={height} title={cut(column.name, large ? 60 : 28)} label={said(k, sets)} testid={`plot-${k}`}>
      {large && ticksOf(0, top, { kind: "continuous", name: "", missing: false }, 4).map((tick) => (
        <g key={tick.at}>
          <line x1={left} x2={width - right} y1={y(tick.at)} y2={y(tick.at)} stroke={ink.line} stroke-width="0.7" />
          <text x={left - 5} y={y(tick.at) + 4} text-anchor="end" fill={ink.faint}>{percent(tick.at)}</text>
        </g>
      ))}
      {series.map((each, s) => each && (
        <path key={s} d={stairs(each.shares, bin, (share) => Number(y(share).toFixed(2)))} {...looks[s]} />
      ))}
      {hasMissing && series.map((each, s) => each && (
        <path key={`m${s}`} d={`M${at},${y(0)}V${y(each.missing).toFixed(2)}h${bar}V${y(0)}`} {...looks[s]} />
      ))}
      {hasMissing && <text x={at + bar / 2} y={height - 6} text-anchor="middle" font-style="italic" fill={ink.faint}>{t.missing}</text>}
      <line x1={left} x2={width - (hasMissing ? 4 : right)} y1={y(0)} y2={y(0)} stroke={ink.faint} stroke-width="0.8" />
      {ticksOf(low, high, column, large ? 7 : 4).filter((tick) => !hasMissing || x(tick.at) < width - right - 3.5 * tick.text.length).map((tick) => (
        <text key={tick.at} x={Math.min(Math.max(x(tick.at), left + 12), width - right - 8)} y={height - 6} text-anchor="middle" fill={ink.faint}>{tick.text}</text>
      ))}
      {beyond > 0 && <text x={width - right} y={above - 6} text-anchor="end" fill={ink.drawn}>↑ {percent(beyond)}</text>}
      {truth !== null && (
        <g data-testid="truth">
          <line x1={x(clamp(truth, low, high))} x2={x(clamp(truth, low, high))} y1={above - 6} y2={y(0)} stroke={ink.ink} stroke-width="2" />
          <text x={clamp(x(clamp(truth, low, high)), left + 24, width - right - 24)} y={above - 8} text-anchor="middle" fill={ink.ink}>{valueText(truth, column)}</text>
        </g>
      )}
    </Figure>
  );
}

/** The highest share, but not so high that a spike of what is drawn flattens all else; and that spike. */
function topOf(series: (number[] | null)[]): { top: number; beyond: number } {
  const drawn = Math.max(...series[series.length - 1]!);
  const others = Math.max(...series.slice(0, -1).flatMap((each) => each ?? []));
  const top = others > 0 ? Math.max(others, Math.min(drawn, 3 * others)) : drawn;
  return { top: top || 1, beyond: drawn > top ? drawn : 0 };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

function Bars({ k, sets, large }: { k: number; sets: Shown; large: boolean }) {
  const ink = inks(), column = columns.value[k];
  const bars = barsOf([sets.real, sets.without, sets.drawn], k, column, large ? 20 : 7, words.value);
  const series = [sets.real, sets.without, sets.drawn].map((rows) => rows && sharesOf(rows, k, bars));
  const truth = sets.truth?.(k) ?? null;
  const top = Math.max(...series.flatMap((each) => each ?? []), 1e-9);
  const width = large ? 640 : 260, step = large ? 24 : 16, left = large ? 150 : 92, right = large ? 110 : 36, above = 22;
  const height = above + bars.length * step + 6;
  const x = (share: number) => left + (share / top) * (width - left - right);
  return (
    <Figure width={width} height={height} title={cut(column.name, large ? 60 : 28)} label={said(k, sets)} testid={`plot-${k}`}>
      {bars.map((bar, b) => {
        const y = above + b * step, [real, without, drawn] = series.map((each) => (each ? each[b] : null));
        const isTruth = truth !== null && bar.codes.has(truth);
        return (
          <g key={b}>
            <title>{bar.text}</title>
            <text x={left - 6} y={y + step / 2 + 4} text-anchor="end" fill={ink.ink} font-style={bar.missing || bar.others ? "italic" : "normal"}
              font-weight={isTruth ? 700 : 400}>{isTruth ? "▸ " : ""}{cut(bar.text, large ? 24 : isTruth ? 11 : 14)}</text>
            {real !== null && <rect x={left} y={y + 2} width={x(real) - left} height={step - 4} fill={ink.real} fill-opacity="0.35" />}
            {drawn !== null && <rect x={left} y={y + step / 2 - 2} width={Math.max(x(drawn) - left, 0.6)} height="4" fill={ink.drawn} />}
            {without !== null && <line x1={x(without)} x2={x(without)} y1={y + 1} y2={y + step - 1} stroke={ink.faint} stroke-width="1.4" stroke-dasharray="3 2" />}
            {isTruth && <rect x={left} y={y + 1} width={width - left - right} height={step - 2} fill="none" stroke={ink.ink} data-testid="truth" />}
            <text x={width - 2} y={y + step / 2 + 4} text-anchor="end" fill={ink.faint}>
              {large && real !== null && <tspan fill={ink.real}>{percent(real)} </tspan>}<tspan fill={ink.drawn}>{percent(drawn ?? 0)}</tspan>
            </text>
          </g>
        );
      })}
      <line x1={left} x2={left} y1={above} y2={above + bars.length * step} stroke={ink.faint} stroke-width="0.8" />
    </Figure>
  );
}

/** Two columns beside one another. */
export function Pair({ a, b, sets }: { a: number; b: number; sets: Shown }) {
  const [one, other] = [columns.value[a], columns.value[b]];
  if (isNumeric(one) && isNumeric(other)) return <Scatter a={a} b={b} sets={sets} />;
  if (!isNumeric(one) && !isNumeric(other)) return <Heat a={a} b={b} sets={sets} />;
  return isNumeric(one) ? <Strips category={b} number={a} sets={sets} /> : <Strips category={a} number={b} sets={sets} />;
}

/** The range of a column over the sets, with a margin. */
function reach(k: number, sets: Shown): [number, number] {
  const values = sortedValues([sets.real, sets.without, sets.drawn], k);
  if (!values.length) return [0, 1];
  const low = values[0], high = values[values.length - 1], margin = 0.03 * (high - low) || 0.5;
  return [low - margin, high + margin];
}

function Scatter({ a, b, sets }: { a: number; b: number; sets: Shown }) {
  const t = words.value, ink = inks(), [across, up] = [columns.value[a], columns.value[b]];
  const [x0, x1] = reach(a, sets), [y0, y1] = reach(b, sets);
  const width = 330, height = 330, left = 52, right = 8, above = 24, below = 38;
  const x = (value: number) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const y = (value: number) => height - below - ((value - y0) / (y1 - y0)) * (height - above - below);
  const dots = (rows: Rows) => {
    let path = "";
    for (let r = 0; r < rows.n; r++) {
      const [u, v] = [rows.columns[a][r], rows.columns[b][r]];
      if (!Number.isNaN(u) && !Number.isNaN(v)) path += `M${x(u).toFixed(1)},${y(v).toFixed(1)}h0`;
    }
    return path;
  };
  const panel = (rows: Rows, colour: string, title: string, behind: Rows | null, testid: string) => (
    <Figure key={testid} width={width} height={height} title={title} testid={testid} label={`${title}: ${across.name}, ${up.name}`}>
      {ticksOf(y0, y1, up).map((tick) => (
        <g key={tick.at}>
          <line x1={left} x2={width - right} y1={y(tick.at)} y2={y(tick.at)} stroke={ink.line} stroke-width="0.7" />
          <text x={left - 5} y={y(tick.at) + 4} text-anchor="end" fill={ink.faint} font-size={up.kind === "date" ? 9.5 : 11}>{tick.text}</text>
        </g>
      ))}
      {ticksOf(x0, x1, across).map((tick) => (
        <g key={tick.at}>
          <line x1={x(tick.at)} x2={x(tick.at)} y1={above} y2={height - below} stroke={ink.line} stroke-width="0.7" />
          <text x={x(tick.at)} y={height - below + 14} text-anchor="middle" fill={ink.faint}>{tick.text}</text>
        </g>
      ))}
      <text x={width - right} y={height - 6} text-anchor="end" fill={ink.ink}>{cut(across.name, 36)} →</text>
      <text x={left + 4} y={above + 12} fill={ink.ink}>↑ {cut(up.name, 36)}</text>
      {behind && <path d={dots(behind)} stroke={ink.faint} stroke-width="2.6" stroke-linecap="round" stroke-opacity="0.3" fill="none" />}
      <path d={dots(rows)} stroke={colour} stroke-width="3.2" stroke-linecap="round" stroke-opacity="0.5" fill="none" />
    </Figure>
  );
  return (
    <div class="plots pair">
      {sets.real && panel(sets.real, ink.real, t.real(thousands(sets.real.n)), null, "scatter-real")}
      {panel(sets.drawn, ink.drawn, (sets.without ? t.given : t.generated)(thousands(sets.drawn.n)), sets.without, "scatter-drawn")}
      <Absent of={[a, b]} sets={sets} />
    </div>
  );
}

/** In words what a plot of two columns leaves out. */
function Absent({ of, sets }: { of: number[]; sets: Shown }) {
  const gone = (rows: Rows | null, k: number) => percent(rows ? summaryOf(rows, k, columns.value[k]).missing : 0);
  return (
    <>
      {of.filter((k) => isNumeric(columns.value[k]) && (gone(sets.drawn, k) !== "0%" || gone(sets.real, k) !== "0%")).map((k) => (
        <p key={k} class="faint">{words.value.noValue(columns.value[k].name, gone(sets.real, k), gone(sets.drawn, k))}</p>
      ))}
    </>
  );
}

/** A number by category: strips of points with their median, real over drawn. */
function Strips({ category, number, sets }: { category: number; number: number; sets: Shown }) {
  const ink = inks(), column = columns.value[number];
  const bars = barsOf([sets.real, sets.without, sets.drawn], category, columns.value[category], 12, words.value);
  const [x0, x1] = reach(number, sets);
  const strip = 18, step = (sets.real ? 2 : 1) * strip + 10, left = 130, right = 12, above = 26, width = 640;
  const height = above + bars.length * step + 36;
  const x = (value: number) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const within = (rows: Rows, bar: Bar) => {
    const found: number[] = [];
    for (let r = 0; r < rows.n; r++) {
      const value = rows.columns[number][r];
      if (bar.codes.has(rows.columns[category][r]) && !Number.isNaN(value)) found.push(value);
    }
    return found;
  };
  const dots = (values: number[], y: number) =>
    values.map((value, r) => `M${x(value).toFixed(1)},${(y + (((r * 0.618034) % 1) - 0.5) * (strip - 5)).toFixed(1)}h0`).join("");
  const drawnStrip = (values: number[], y: number, colour: string, opacity: number, marked = true) => {
    const sorted = [...values].sort((u, v) => u - v), median = sorted[sorted.length >> 1];
    return (
      <>
        <path d={dots(values, y)} stroke={colour} stroke-width="2.6" stroke-linecap="round" stroke-opacity={opacity} fill="none" />
        {marked && values.length > 0 && <line x1={x(median)} x2={x(median)} y1={y - strip / 2} y2={y + strip / 2} stroke={colour} stroke-width="2.6" />}
      </>
    );
  };
  const title = `${columns.value[category].name} × ${column.name}`;
  return (
    <div class="plots wide-plot">
      <Figure width={width} height={height} title={cut(title, 70)} label={title} testid="strips">
        {ticksOf(x0, x1, column, 7).map((tick) => (
          <g key={tick.at}>
            <line x1={x(tick.at)} x2={x(tick.at)} y1={above} y2={height - 32} stroke={ink.line} stroke-width="0.7" />
            <text x={x(tick.at)} y={height - 18} text-anchor="middle" fill={ink.faint}>{tick.text}</text>
          </g>
        ))}
        <text x={width - right} y={height - 4} text-anchor="end" fill={ink.ink}>{cut(column.name, 40)} →</text>
        {bars.map((bar, b) => {
          const y = above + b * step + 5;
          return (
            <g key={b}>
              <title>{bar.text}</title>
              <text x={left - 8} y={y + (step - 10) / 2 + 4} text-anchor="end" fill={ink.ink} font-style={bar.missing || bar.others ? "italic" : "normal"}>{cut(bar.text, 20)}</text>
              {sets.real && drawnStrip(within(sets.real, bar), y + strip / 2, ink.real, 0.45)}
              {sets.without && drawnStrip(within(sets.without, bar), y + (sets.real ? 1.5 : 0.5) * strip, ink.faint, 0.3, false)}
              {drawnStrip(within(sets.drawn, bar), y + (sets.real ? 1.5 : 0.5) * strip, ink.drawn, 0.45)}
            </g>
          );
        })}
      </Figure>
      <Absent of={[number]} sets={sets} />
    </div>
  );
}

/** Two columns of categories: the share of the rows in each combination, as numbers and shades. */
function Heat({ a, b, sets }: { a: number; b: number; sets: Shown }) {
  const t = words.value, ink = inks(), all = [sets.real, sets.without, sets.drawn];
  const across = barsOf(all, a, columns.value[a], 8, t), down = barsOf(all, b, columns.value[b], 12, t);
  const sharesOfBoth = (rows: Rows) => {
    const place = (bars: Bar[], code: number) => bars.findIndex((bar) => bar.codes.has(code));
    const found = down.map(() => new Array<number>(across.length).fill(0));
    for (let r = 0; r < rows.n; r++) {
      const [u, v] = [place(across, rows.columns[a][r]), place(down, rows.columns[b][r])];
      if (u >= 0 && v >= 0) found[v][u] += 1 / rows.n;
    }
    return found;
  };
  const panels = [
    sets.real && { rows: sets.real, colour: ink.real, title: t.real(thousands(sets.real.n)), id: "heat-real" },
    sets.without && { rows: sets.without, colour: ink.faint, title: t.without, id: "heat-without" },
    { rows: sets.drawn, colour: ink.drawn, title: (sets.without ? t.given : t.generated)(thousands(sets.drawn.n)), id: "heat-drawn" },
  ].flatMap((each) => (each ? [{ ...each, shares: sharesOfBoth(each.rows) }] : []));
  const top = Math.max(...panels.flatMap(({ shares }) => shares.flat()), 1e-9);
  const width = 330, left = 92, cell = (width - left - 4) / across.length, step = 24, above = 48;
  const height = above + down.length * step + 8;
  return (
    <div class="plots pair">
      {panels.map(({ colour, title, id, shares }) => (
        <Figure key={id} width={width} height={height} title={title} testid={id} label={`${title}: ${columns.value[a].name} × ${columns.value[b].name}`}>
          <text x="2" y="28" fill={ink.faint}>→ {cut(columns.value[a].name, 40)}</text>
          <text x="2" y={above - 5} fill={ink.faint}>↓ {cut(columns.value[b].name, 13)}</text>
          {across.map((bar, u) => (
            <text key={u} x={left + (u + 0.5) * cell} y={above - 6} text-anchor="middle" fill={ink.ink} font-size="10.5"
              font-style={bar.missing || bar.others ? "italic" : "normal"}>{cut(bar.text, Math.floor(cell / 6.4))}<title>{bar.text}</title></text>
          ))}
          {down.map((bar, v) => (
            <g key={v}>
              <text x={left - 6} y={above + v * step + 16} text-anchor="end" fill={ink.ink}
                font-style={bar.missing || bar.others ? "italic" : "normal"}>{cut(bar.text, 13)}<title>{bar.text}</title></text>
              {across.map((other, u) => (
                <g key={u}>
                  <title>{`${other.text}, ${bar.text}: ${percent(shares[v][u])}`}</title>
                  <rect x={left + u * cell} y={above + v * step} width={cell - 1.5} height={step - 1.5} fill={colour} fill-opacity={0.06 + 0.6 * (shares[v][u] / top)} />
                  {cell > 26 && <text x={left + (u + 0.5) * cell} y={above + v * step + 16} text-anchor="middle" fill={ink.ink} font-size="10.5">{percent(shares[v][u])}</text>}
                </g>
              ))}
            </g>
          ))}
        </Figure>
      ))}
    </div>
  );
}

/** A column in numbers, set beside set. */
export function Numbers({ k, sets }: { k: number; sets: Shown }) {
  const t = words.value, column = columns.value[k];
  const named: [string, Rows | null, string][] = [
    [t.real(sets.real ? thousands(sets.real.n) : ""), sets.real, "real"], [t.without, sets.without, "without"],
    [(sets.truth ? t.fillings(sets.drawn.n) : (sets.without ? t.given : t.generated)(thousands(sets.drawn.n))), sets.drawn, "drawn"],
  ];
  return (
    <table class="numbers" data-testid="numbers">
      <thead>
        <tr><td /><th scope="col">{isNumeric(column) ? t.mean : t.commonest}</th>
          <th scope="col">{isNumeric(column) ? t.spread : t.itsShare}</th><th scope="col">{t.missing}</th></tr>
      </thead>
      <tbody>
        {named.map(([name, rows, id]) => {
          if (!rows) return null;
          const { middle, spread, missing } = summaryOf(rows, k, column);
          return <tr key={id}><th scope="row">{name}</th><td>{middle}</td><td>{spread}</td><td>{percent(missing)}</td></tr>;
        })}
      </tbody>
    </table>
  );
}

/** The text of a cell. */
export function cellText(rows: Rows, row: number, k: number): string {
  const column = columns.value[k], value = rows.columns[k][row];
  if (isMissing(value, column)) return words.value.missing;
  return isNumeric(column) ? (column.kind === "date" ? valueText(value, column) : shown(value)) : column.categories![value];
}

// A guided tour in eight steps: what to look at, the numbered equation of docs/equations.md, and the
// page set so that it moves.

import { batch, type Signal, signal } from "@preact/signals";

import {
  background, calls, direction, energies, energyLimit, hasExact, hasFlow, lastStop, lateNoise, noiseAtTheEnd, payload, playing, sampler,
  showField, showPaths, startTooClean, stop, together, withoutAverage,
} from "./state";
import { either, text } from "./text";

export const step = signal(-1);

/** MathML of identifiers, operators and numbers, written as a reader says them. */
const row = (...parts: string[]) => `<mrow>${parts.join("")}</mrow>`;
const i = (name: string) => `<mi>${name}</mi>`;
// Brackets keep their size: what they hold has indices, which would stretch them.
const o = (name: string) => `<mo${"()[]∣".includes(name) ? ' stretchy="false"' : ""}>${name}</mo>`;
const sub = (base: string, index: string) => `<msub>${base}${index}</msub>`;
const x = (index: string) => sub(i("x"), i(index));
const alpha = sub(i("α"), i("t")), sigma = sub(i("σ"), i("t"));
const expected = (inner: string) => row(i("𝔼"), o("["), inner, o("]"));
const given = row(x("0"), o("∣"), x("t"));
const fraction = (top: string, bottom: string) => `<mfrac>${row(top)}${row(bottom)}</mfrac>`;

interface Step {
  /** For points in the plane alone: it is about arrows or a shade. */
  plane?: boolean;
  number: string;
  equation: string;
  title: [string, string];
  say: [string, string];
  /** Of networks alone that know all levels: it is about the density of their flow. */
  flow?: boolean;
  /** Whether it looks at the energy distance. */
  distance?: boolean;
  /** Whether it looks at the errors over the slider, for which a narrow screen has no room otherwise. */
  errors?: boolean;
  set: () => void;
}

/** Nothing extra on the screen. */
function plain(): void {
  playing.value = false;
  background.value = "none";
  showField.value = showPaths.value = together.value = false;
  startTooClean.value = noiseAtTheEnd.value = withoutAverage.value = false;
  direction.value = "reverse";
}

const STEPS: Step[] = [
  {
    number: "2-4",
    equation: row(x("t"), o("="), alpha, x("0"), o("+"), sigma, i("ε"), o(","), i("ε"), o("∼"), i("N"), o("("), "<mn>0</mn>", o(","), "<mn>1</mn>", o(")")),
    title: ["Data dissolve into noise", "数据化为噪声"],
    say: [
      "Each point is shrunk by α and moved by its own Gaussian noise of width σ. Nothing is learned here: the slider alone decides how much of the data is left.",
      "每个点乘以 α 缩小，再加上宽度为 σ 的高斯噪声。这里没有任何学习：滑块决定还剩多少数据。",
    ],
    set: () => { plain(); direction.value = "forward"; stop.value = lastStop.value; playing.value = true; },
  },
  {
    plane: true,
    number: "2-5",
    equation: row(i("q"), o("("), x("t"), o("∣"), x("0"), o(")"), o("="), i("N"), o("("), x("t"), o(";"), alpha, x("0"), o(","), `<msubsup>${i("σ")}${i("t")}<mn>2</mn></msubsup>`, o(")")),
    title: ["The cloud at one level", "某一噪声水平的点云"],
    say: [
      "Averaged over all data, these Gaussians give q(xₜ), the green shade. With little noise it is the data blurred, with much a single round hill.",
      "把这些高斯对全部数据取平均，就得到 q(xₜ)，即绿色阴影。噪声小时是模糊的数据，噪声大时只是一座圆丘。",
    ],
    set: () => { plain(); direction.value = "forward"; background.value = hasExact.value ? "marginal" : "none"; stop.value = Math.round(0.62 * lastStop.value); },
  },
  {
    number: "4-7",
    equation: row(expected(given), o("="), `<munder>${o("∑")}${i("k")}</munder>`, sub(i("r"), i("k")), sub(i("p"), i("k")), o(","), sub(i("r"), i("k")), o("∝"), i("N"), o("("), x("t"), o(";"), alpha, sub(i("p"), i("k")), o(","), `<msubsup>${i("σ")}${i("t")}<mn>2</mn></msubsup>`, o(")")),
    title: ["Where did this point come from?", "这个点来自哪里？"],
    say: [
      "Point at a point. The dots are the places that it may have come from, q(x₀ | xₜ); the larger, the likelier. Their mean is the best possible guess. Move the slider: with less noise fewer places are left.",
      "把指针移到一个点上。小圆点是它可能的来处 q(x₀ | xₜ)，越大越可能；它们的平均就是最好的猜测。移动滑块：噪声越小，可能的来处越少。",
    ],
    set: () => { plain(); direction.value = "forward"; stop.value = Math.round(0.55 * lastStop.value); },
  },
  {
    errors: true,
    number: "L-4",
    equation: row(sub(i("L"), i("simple")), o("="), `<msub>${i("𝔼")}${row(i("t"), o(","), x("0"), o(","), i("ε"))}</msub>`, `<msup>${row(o("("), i("ε"), o("−"), `<mover>${i("ε")}${o("^")}</mover>`, o("("), alpha, x("0"), o("+"), sigma, i("ε"), o(","), i("t"), o(")"), o(")"))}<mn>2</mn></msup>`),
    title: ["A network learns the guess", "让网络学会这个猜测"],
    say: [
      "The network sees a noisy point and guesses what was added. Squared error makes its best answer the mean of the step before. The curve over the slider shows its error at each level; of a toy set also the least possible error, and how far the network is from the best answer: what it has not learned.",
      "网络看到带噪声的点，猜测加上去的噪声。平方误差使最佳答案正是上一步的平均值。滑块上方的曲线给出网络在各噪声水平上的误差；对现成的分布，还给出理论最小误差，以及网络与最佳答案之差，即尚未学到的部分。",
    ],
    set: () => { plain(); showField.value = true; stop.value = Math.round(0.6 * lastStop.value); },
  },
  {
    plane: true,
    number: "4-3",
    equation: row(sub(o("∇"), x("t")), i("log"), o("&#8289;"), i("q"), o("("), x("t"), o(")"), o("="), fraction(row(alpha, expected(given), o("−"), x("t")), `<msubsup>${i("σ")}${i("t")}<mn>2</mn></msubsup>`)),
    title: ["The guess is a direction", "猜测就是方向"],
    say: [
      "From a point to its best guess: that is the score, uphill on log q(xₜ). The arrows show where the flow carries each place. Network and exact denoiser side by side: look where they differ.",
      "从一个点指向它的最佳猜测，这就是分数，即 log q(xₜ) 的上坡方向。箭头表示概率流把各处带往何方。对比网络与精确去噪器，看哪里不同。",
    ],
    set: () => { plain(); showField.value = true; background.value = hasExact.value ? "marginal" : "none"; stop.value = Math.round(0.7 * lastStop.value); },
  },
  {
    number: "4-4",
    equation: row(x("s"), o("="), sub(i("α"), i("s")), `<mover>${x("0")}${o("^")}</mover>`, o("+"), `<msqrt>${row(`<msubsup>${i("σ")}${i("s")}<mn>2</mn></msubsup>`, o("−"), "<msup><mi>τ</mi><mn>2</mn></msup>")}</msqrt>`, `<mover>${i("ε")}${o("^")}</mover>`, o("+"), i("τ"), i("z")),
    distance: true,
    title: ["Back to data, step by step", "一步一步回到数据"],
    say: [
      "Begin in pure noise; guess, move to a little less noise s, guess again; z is fresh noise of width τ. Change the sampler, the steps and η (of samplers that add noise), and watch the energy distance to real points, beside what chance gives.",
      "从纯噪声开始：猜测，移到稍小的噪声 s，再猜；z 是新加的噪声，宽度为 τ。改变采样器、步数与 η（加噪声的采样器才有），并看与真实样本的能量距离，旁边是偶然可达的值。",
    ],
    set: () => { plain(); calls.value = 0; showPaths.value = true; stop.value = 0; playing.value = true; },
  },
  {
    plane: true,
    flow: true,
    number: "4-6",
    equation: row(i("log"), o("&#8289;"), i("p"), o("("), x("0"), o(")"), o("="), i("log"), o("&#8289;"), i("N"), o("("), x("T"), o(";"), "<mn>0</mn>", o(","), "<mn>1</mn>", o(")"), o("+"), o("∫"), o("("), i("d"), o("−"), i("tr"), fraction(row(o("∂"), expected(given)), row(o("∂"), i("y"))), o(")"), i("d"), i("log"), o("&#8289;"), i("r")),
    title: ["A flow has a density", "流给出密度"],
    say: [
      "Without noise the way is a flow: points spread out or draw together, and density falls or rises by just that. So the model says how likely any point is. (d coordinates, y = x/α, r = σ/α.) The shade, which takes a few seconds, is the network's own density.",
      "不加噪声时，路径是一条流：点散开则密度下降，聚拢则上升。因此模型能给出任何一点的密度（d 为维数，y = x/α，r = σ/α）。阴影是网络自己的密度，需计算几秒钟。",
    ],
    set: () => { plain(); calls.value = 0; sampler.value = "unipc"; showPaths.value = true; background.value = "model"; stop.value = lastStop.value; },
  },
  {
    number: "3-1",
    equation: row(`<msub><mover>${i("α")}${o("¯")}</mover>${i("T")}</msub>`, o("="), "<mn>0.778</mn>", o("≠"), "<mn>0</mn>"),
    distance: true,
    title: ["Three faults, and what they cost", "三个错误及其代价"],
    say: [
      "Many small scripts stop adding noise too early and then begin in pure noise all the same. The first box does that: look at the edges of the shape, and at the energy distance. The other two cost less, and little where the levels end at small noise and the training settles at its end, as Sfumato's own settings have it. Noise in the last step is ancestral sampling's: compare it with that sampler, in 5 steps.",
      "许多小脚本过早停止加噪声，采样时却仍从纯噪声开始。第一个选项就是这样：看形状的边缘与能量距离。另外两个代价较小；若噪声水平终止于很小的噪声、训练后期趋于平稳（Sfumato 的默认设置即如此），就几乎看不出。最后一步的噪声属于祖先采样：请取 5 步，与该采样器相比。",
    ],
    set: () => { plain(); calls.value = 0; lateNoise.value = true; startTooClean.value = true; stop.value = lastStop.value; },
  },
];

/** Fewer real points do not tell what the first fault costs an S-curve. */
const FEW = 1000;

/** Why the energy distance cannot tell here what a step of the tour says of it; empty where it can. */
function withoutPower(): string {
  const run = payload.value, found = energies.learned.value, limit = energyLimit.value;
  if (!run?.has("rows/real")) return either("There are no real points here to compare with.", "此处没有可供比较的真实样本。");
  const n = run.shape("rows/real")[0];
  if (n >= FEW || found === null || (limit !== null && found > limit)) return "";
  const reached = limit?.toPrecision(1);
  return either(
    `Here the energy distance cannot tell: there are only ${n} real points to compare with${reached ? `, and with so few chance reaches ${reached}` : ""}. A toy set such as s-curve has 2,000: fit one to see the difference.`,
    `此处能量距离分辨不出：只有 ${n} 个真实样本可比${reached ? `，这么少的样本，偶然就可达 ${reached}` : ""}。现成的分布（如 s-curve）有 2,000 个：训练一个，就能看出差别。`,
  );
}

/** What the tour changes, as it was before. */
let before: (() => void)[] = [];

export function begin(): void {
  const changed = [
    background, calls, direction, lateNoise, noiseAtTheEnd, sampler, showField, showPaths, startTooClean, stop,
    together, withoutAverage,
  ] as Signal<unknown>[];
  before = changed.map((each) => {
    const value = each.peek();
    return () => { each.value = value; };
  });
  go(0);
}

function go(to: number): void {
  batch(() => {
    step.value = to;
    if (to >= 0) steps()[to].set();
    else {
      playing.value = false;
      for (const restore of before) restore();
    }
  });
}

function steps(): Step[] {
  return STEPS.filter(({ plane, flow }) => (!plane || payload.value?.dimension === 2) && (!flow || hasFlow.value));
}

export function Tour() {
  if (step.value < 0) return null;
  const all = steps(), last = all.length - 1, { number, equation, title, say, distance, errors } = all[Math.min(step.value, last)];
  const blind = distance ? withoutPower() : "";
  const link = `docs/${either("", "zh/")}equations.md`;
  return (
    <aside class={errors ? "tour with-errors" : "tour"} aria-live="polite" data-testid="tour">
      <header>
        <span class="count">{step.value + 1} / {all.length}</span>
        <h2>{either(...title)}</h2>
        <button type="button" class="close" aria-label={text.value.closeTour} title={text.value.closeTour} onClick={() => go(-1)}>×</button>
      </header>
      <div class="equation">
        <span dangerouslySetInnerHTML={{ __html: `<math display="block">${equation}</math>` }} />
        <span class="number" title={link}>({number})</span>
      </div>
      <p>{either(...say)}</p>
      {blind && <p data-testid="without-power">{blind}</p>}
      <div class="buttons">
        <button type="button" disabled={step.value === 0} onClick={() => go(step.value - 1)}>‹ {text.value.previous}</button>
        <button type="button" class="primary" disabled={step.value === last} onClick={() => go(step.value + 1)}>{text.value.next} ›</button>
      </div>
    </aside>
  );
}

// Why something was not done: what Python says of it in English, the frequent reasons in Chinese by their
// code; and what this page says itself. All is kept so that it is said in the language of the moment.

import { language, text, type Text } from "./text";

type Values = Record<string, string | number>;

export interface Reason {
  message: string;
  code: string;
  values: Values;
}

const ZH: Record<string, (v: Values) => string> = {
  // What was asked for.
  "fitting": () => "训练正在进行；请先停止。",
  "not-fitting": () => "当前没有训练。",
  "not-stopped": () => "没有可以继续的训练。",
  "no-run": () => "还没有可供生成的模型。",
  "most-pages": ({ most }) => `已经打开了 ${most} 个页面；请关闭一个。`,
  "no-worker": ({ how }) => `无法启动训练进程：${how}。`,
  "not-understood": ({ said }) => `这一请求不合要求：${said}。`,
  "diverged": ({ step }) => `第 ${step} 步的损失不是有限的数，训练已停止；最后的检查点完好。请用更小的学习率重新训练。`,
  "disk-full": () => "磁盘已满。",
  "from-system": ({ said }) => `操作系统的错误：${said}。`,
  // The run.
  "in-use": ({ folder }) => `${folder} 正被另一个进程使用；请等它结束。`,
  "no-run-folder": ({ folder }) => `${folder} 不在了，或不是运行的文件夹。`,
  "no-model": ({ folder }) => `${folder} 里没有模型。`,
  "no-checkpoint": () => "检查点缺失或已损坏；请重新训练。",
  "data-changed": ({ file }) => `${file} 与训练开始时不同；请放回原来的数据，或重新训练。`,
  "no-file": ({ file }) => `没有文件 ${file}。`,
  "rows-gone": () => "训练所用的行只在内存中，已经不在了。",
  "only-in-python": () => "这次训练用了内存中的行，或自己的网络或噪声调度，只能在 Python 中继续。",
  "worker-ended": ({ how }) => `训练进程意外结束（${how}）。`,
  "broken-rule": ({ rule }) => `所给的值违反规则 ${rule}；请改动其中一个，或去掉它。`,
  // The file.
  "ending": ({ file, endings }) => `${file} 不是数据行的文件；请给以 ${endings} 结尾的文件。`,
  "empty": ({ file }) => `${file} 是空的。`,
  "other-format": ({ file }) => `${file} 不是 CSV 文件，而是另一种格式；请把其中的表格另存为 UTF-8 编码的 CSV。`,
  "not-text": ({ file, line }) => `${file} 第 ${line} 行不是 UTF-8 文本；请另存为 UTF-8 编码的 CSV。`,
  "no-rows": ({ file }) => `${file} 只有表头，没有数据行。`,
  "few-rows": ({ file, rows }) => `${file} 只有 ${rows} 行数据；至少需要 3 行。`,
  "row-length": ({ file, line, cells, expected }) => `${file} 第 ${line} 行有 ${cells} 个单元格，应为 ${expected} 个；请改正这一行，含有分隔符的单元格须加引号。`,
  "quotes": ({ file, line }) => `${file} 第 ${line} 行：引号没有配对；请改正。`,
  "names-and-numbers": ({ file, line, cell }) => `${file} 第 ${line} 行既有列名又有数字（${cell}）；若是表头，列名不能是数字；若是数据，请改正。`,
  "no-name": ({ file, line, column }) => `${file} 第 ${line} 行：第 ${column} 列没有列名；请补上。`,
  "repeated-name": ({ file, column }) => `${file} 中列名 ${column} 重复出现；请改掉一个。`,
  "odd-cell": ({ file, line, column, cell }) => `${file} 第 ${line} 行 ${column} 列的 ${cell} 与该列其余的值不是同一类；请改正这个单元格，或把它留空。`,
  "odd-columns": ({ file, columns }) => `${file} 有 ${columns} 列无法读取；请用 sfumato fit 查看每一列的问题。`,
  "long-line": ({ file, line, most }) => `${file} 第 ${line} 行超过 ${most} 个字符；每行数据须以换行符结尾。`,
  "many-columns": ({ file, columns, most }) => `${file} 有 ${columns} 列，至多读取 ${most} 列；请只保留需要的列。`,
  "long-name": ({ file, line, column, most }) => `${file} 第 ${line} 行：第 ${column} 列的列名超过 ${most} 个字符；请缩短。`,
  "forms-as-text": ({ column, cell }) => `${column} 列含有文本形式的日期或数字（如 ${cell}）；请把它们写成同一种形式。`,
  "many-categories": ({ column, distinct, most }) => `${column} 列有 ${distinct} 个不同的值，至多能学习 ${most} 个类别；请合并少见的，或去掉这一列。`,
  "beyond-measure": ({ column }) => `${column} 列的数值超出可以度量的范围（1e-100 到 1e100）；请换一个单位。`,
  // Why a file does not draw by itself.
  "page-sampler": ({ sampler }) => `页面没有采样器 ${sampler}。`,
  "page-option": ({ option }) => `页面没有采样器的选项 ${option}。`,
  "page-variance": () => "页面不按学习到的方差采样。",
  "page-weights": ({ weights, most }) => `网络有 ${weights} 个数；文件至多放得下 ${most} 个。`,
  "page-network": ({ network }) => `页面没有网络 ${network}。`,
  "page-width": () => "页面只计算宽度为 8 的倍数、Fourier 特征数为 4 的倍数的网络。",
  "page-threshold": () => "页面会截断预测值，但不按分位数截断（sampling.threshold）。",
  "page-unet": () => "页面没有这个 U-Net 的某个选项：宽度须为 8 的倍数，注意力头的宽度须为 4 的倍数，分辨率须由卷积改变。",
  "page-products": ({ products, most }) => `一张图片需要 ${10 * Number(products)} 亿次乘法，而页面至多做 ${10 * Number(most)} 亿次。`,
  "constant": () => "每一列都是常数，或只是行的名称；没有可以学习的内容。",
};

/** A sentence in the language of the page at the moment. */
export type Saying = () => string;

/** An error that is known in both languages. */
export class Said extends Error {
  constructor(readonly say: Saying) {
    super(say());
  }
}

/** One of this page's own sentences as an error. */
export function saidHere(key: { [K in keyof Text]: Text[K] extends string ? K : never }[keyof Text]): Said {
  return new Said(() => text.value[key]);
}

/** What is to be said of an error. */
export function sayingOf(error: unknown): Saying {
  if (error instanceof Said) return error.say;
  const message = error instanceof Error ? error.message : String(error);
  return () => message;
}

/** In the language of the page, where it is known there. */
export function said({ message, code, values }: Reason): string {
  return (language.value === "zh" && ZH[code]?.(values)) || message;
}

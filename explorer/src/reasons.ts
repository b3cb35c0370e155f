// Why something was not done, as Python says it: in English, and the frequent reasons in Chinese by
// their code.

import { language } from "./text";

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
  "constant": () => "每一列都是常数，或只是行的名称；没有可以学习的内容。",
};

/** In the language of the page, where it is known there. */
export function said({ message, code, values }: Reason): string {
  return (language.value === "zh" && ZH[code]?.(values)) || message;
}

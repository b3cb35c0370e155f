// The page as a file that needs no server: made by Python where this page is served, else this page itself.

import { signal } from "@preact/signals";

import { download, stem } from "./download";
import type { RunHeader } from "./payload";
import type { PicturesHeader } from "./pictures_state";
import { leftOutOfPictures } from "./pictures_text";
import { type Reason, said, type Saying, sayingOf } from "./reasons";
import { madePage, served } from "./server";
import type { TableHeader } from "./tables_state";
import { leftOutOfRows } from "./tables_text";
import { text } from "./text";

/** What is to be said of the file; and of which run, once it is there. */
const state = signal<{ say: Saying; making?: boolean; wrong?: boolean; of?: RunHeader } | null>(null);

export function PageButton({ run }: { run: RunHeader }) {
  return (
    <button type="button" data-testid="page-file" disabled={state.value?.making} onClick={() => void save(run)}>
      {text.value.pageFile}
    </button>
  );
}

export function PageState({ run }: { run: RunHeader }) {
  const now = state.value;
  return (
    <div aria-live="polite">
      {now && (!now.of || now.of === run) && <p class={now.wrong ? "problem" : "faint"} data-testid="page-state">{now.say()}</p>}
    </div>
  );
}

async function save(run: RunHeader): Promise<void> {
  const name = `${stem(run.folder ?? run.name)}.html`;
  state.value = { say: () => (run.kind === "points" ? text.value.makingPage : text.value.makingLongPage), making: true };
  try {
    const { html, without } = served ? await fromPython() : { html: ownPage(), without: () => "" };
    const file = new Blob([html], { type: "text/html" }), megabytes = (file.size / 1e6).toFixed(2);
    download(file, name);
    state.value = { say: () => `${text.value.pageSaved(name, megabytes)} ${without()}`, of: run };
  } catch (error) {
    state.value = { say: sayingOf(error), wrong: true };
  }
}

async function fromPython(): Promise<{ html: Uint8Array<ArrayBuffer>; without: Saying }> {
  const { file, html } = await madePage();
  return { html, without: () => withoutWhat(file) };
}

/** What a file has to do without, as it says itself. */
function withoutWhat(file: RunHeader): string {
  const { stored } = file as TableHeader, { why } = file as PicturesHeader;
  const reason: Reason | undefined = stored?.why ?? why;
  const left = stored ? leftOutOfRows(stored) : leftOutOfPictures((file as PicturesHeader).left_out);
  return `${reason ? text.value.pageNotLive(said(reason)) : ""} ${left}`;
}

/** This page as it was opened: what it shows is made anew from what it carries. */
function ownPage(): string {
  const page = document.documentElement.cloneNode(true) as HTMLElement;
  page.querySelector("#page")!.replaceChildren();
  return `<!doctype html>\n${page.outerHTML}`;
}

// Files that a person keeps, and what they are called.

/** A file's name without its ending, of a run's rows or folder. */
export function stem(name: string): string {
  return name.replace(/.*[\\/]/, "").replace(/[^\p{L}\p{N}_]+/gu, "-");
}

export function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

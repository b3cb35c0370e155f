// As the index is made: words in Latin letters are stemmed as English, others stay as they are.
window.ChineseStemmer = class {
  stemWord(word) {
    return /^\w+$/.test(word) ? new EnglishStemmer().stemWord(word) : word;
  }
};
// What is searched for is split into the longest words that the index has; it has none of one sign.
window.splitQuery = (query) =>
  (query.match(/\w{2,}|[\u3400-\u9fff]+/g) ?? []).flatMap((run) => (/^\w/.test(run) ? [run] : wordsOfIndex(run)));

const wordsOfIndex = (run) => {
  const { terms, titleterms } = Search._index;
  const words = [];
  for (let start = 0; start < run.length; ) {
    let end = run.length;
    while (end > start + 1 && !(run.slice(start, end) in terms || run.slice(start, end) in titleterms)) end--;
    if (end > start + 1) words.push(run.slice(start, end));
    start = end;
  }
  return words.length ? words : [run];
};

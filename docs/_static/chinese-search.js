// As the index is made: words in Latin letters are stemmed as English, others stay as they are.
window.ChineseStemmer = class {
  stemWord(word) {
    return /^[a-z]+$/i.test(word) ? new EnglishStemmer().stemWord(word) : word;
  }
};
// And what is searched for is split into words, as the pages are; their index has none of one sign.
window.splitQuery = (query) =>
  [...new Intl.Segmenter("zh", { granularity: "word" }).segment(query)]
    .filter((part) => part.isWordLike && part.segment.length > 1)
    .map((part) => part.segment);

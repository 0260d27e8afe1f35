// What is looked for, marked in the text of lines that are shown. The server finds the lines; this only shows where in them.

// Repeats of repeats can take JavaScript's engine for ever, the server's not: then lines are marked, not what is in them.
const NESTED = /[*+}]\)*[*+{]|\([^()]*[*+}][^()]*\)[*+{]/;
const MARKS_MOST = 200; // in a line

// A pattern for `marked`, or null where JavaScript has none that is as good.
export function patternOf({ query, regex, ignoreCase }) {
  if (!query || (regex && NESTED.test(query))) return null;
  try {
    return new RegExp(regex ? query : query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), ignoreCase ? "giu" : "gu");
  } catch {
    return null;
  }
}

// The stretches of a line, cut where hits begin and end; `hit` says which are one.
export function marked(stretches, pattern) {
  if (!pattern) return stretches;
  const hits = hitsIn(stretches.map(({ text }) => text).join(""), pattern);
  let at = 0;
  return stretches.flatMap((stretch) => {
    const begin = at;
    at += stretch.text.length;
    return cut(stretch, begin, hits);
  });
}

function hitsIn(text, pattern) {
  const hits = [];
  pattern.lastIndex = 0;
  for (let found; hits.length < MARKS_MOST && (found = pattern.exec(text)); ) {
    if (found[0]) hits.push([found.index, found.index + found[0].length]);
    else pattern.lastIndex += 1;
  }
  return hits;
}

function cut(stretch, begin, hits) {
  const end = begin + stretch.text.length;
  const edges = hits.flat().filter((edge) => begin < edge && edge < end);
  const bounds = [begin, ...edges, end];
  return bounds.slice(0, -1).map((from, index) => ({
    ...stretch,
    text: stretch.text.slice(from - begin, bounds[index + 1] - begin),
    hit: hits.some(([first, last]) => first <= from && from < last),
  }));
}

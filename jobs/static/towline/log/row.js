// Rows of the view: a line, and a gap between lines.

import { nodeOf, paint, plain } from "./ansi.js";
import { sentence } from "./gaps.js";
import { marked } from "./marks.js";
import { counted, since } from "./words.js";

export const SHOWN_MOST = 3000; // characters of a line; the rest when asked for

// `look`: {pattern, times: "off" | "utc" | "since", start, size}; size: how many lines there are, -1 while that is open.
export function rowOf(line, look) {
  const row = document.createElement("div");
  row.id = `L${line.n}`;
  row.className = `line ${line.stream}`;
  row.setAttribute("role", "listitem");
  row.setAttribute("aria-posinset", line.n);
  row.setAttribute("aria-setsize", look.size);
  row.append(numberOf(line), ...timeOf(line, look));
  const text = document.createElement("span");
  text.className = "text";
  text.append(...nodesOf(marked(paint(line.text, line.state), look.pattern)));
  row.append(text);
  if (line.length > line.text.length) row.append(restOf(line));
  return row;
}

export function gapRow(gap) {
  const row = document.createElement("div");
  row.className = "gap";
  row.id = `G${gap.line}`;
  row.setAttribute("role", "listitem");
  row.textContent = sentence(gap);
  return row;
}

// The whole of a long line in its row. Without colours and marks: they would cost too much.
export function showWhole(row, text) {
  row.querySelector(".text").textContent = plain(text);
  row.querySelector(".rest").remove();
}

function numberOf({ n, time, stream }) {
  const number = document.createElement("a");
  number.href = `#L${n}`;
  number.dataset.n = n; // shown by CSS: never copied with the text
  number.tabIndex = -1; // hundreds of stops would end the keyboard's use
  number.title = `Line ${n}, ${time}, ${stream}`;
  number.setAttribute("aria-label", stream === "stderr" ? `${n}, stderr` : `${n}`);
  return number;
}

function timeOf({ time }, { times, start }) {
  if (times === "off" || (times === "since" && !start)) return [];
  const shown = document.createElement("time");
  shown.dateTime = time;
  shown.title = time;
  shown.textContent = times === "since" ? since(start, time) : time.slice(11, 23);
  return [shown];
}

function nodesOf(stretches) {
  return stretches.map((stretch) => {
    if (!stretch.hit) return nodeOf(stretch);
    const mark = document.createElement("mark");
    mark.append(nodeOf(stretch));
    return mark;
  });
}

function restOf({ n, length }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "rest";
  button.dataset.whole = n;
  button.textContent = `… show all ${counted(length, "character")}`;
  return button;
}

// The lines in the page: one stretch of the log without holes, of at most `most` lines, keyed by line number.

import { Painter } from "./ansi.js";

export class Lines {
  constructor(box, most) {
    this.box = box;
    this.most = most;
    this.clear();
  }

  clear() {
    this.first = 0; // line numbers; 0: there are none
    this.last = 0;
    this.painter = new Painter();
    this.box.replaceChildren();
  }

  get empty() {
    return this.last === 0;
  }

  get room() {
    return this.empty ? this.most : this.most - (this.last - this.first + 1);
  }

  row(n) {
    return this.box.querySelector(`#L${n}`);
  }

  // Put behind those that are there whatever is new of `lines`. False: there would be a hole, nothing was done.
  append(lines) {
    const fresh = lines.filter((line) => line.n > this.last).slice(-this.most);
    if (!fresh.length) return true;
    if (!this.empty && lines[0].n > this.last + 1) return false;
    // A burst longer than the window: what came before it can't stay without a hole.
    if (!this.empty && fresh[0].n > this.last + 1) this.clear();
    this.box.append(...fresh.map((line) => rowOf(line, this.painter)));
    this.first ||= fresh[0].n;
    this.last = fresh[fresh.length - 1].n;
    while (this.last - this.first + 1 > this.most) this.row(this.first++).remove();
    return true;
  }

  // Of lines that follow on those that are there, as many as there is room for: none has to go.
  appendWhatFits(lines) {
    const fresh = lines.filter((line) => line.n > this.last).slice(0, this.room);
    if (!this.empty && fresh.length) this.append(fresh);
  }

  // Put before those that are there; what gets too many goes at the end.
  prepend(lines) {
    const older = lines.filter((line) => line.n < this.first);
    if (!older.length || older[older.length - 1].n !== this.first - 1) return;
    const painter = new Painter();
    this.row(this.first).before(...older.map((line) => rowOf(line, painter)));
    this.first = older[0].n;
    while (this.last - this.first + 1 > this.most) this.row(this.last--).remove();
  }

  note(text, kind = "") {
    const note = document.createElement("div");
    note.className = `note ${kind}`;
    note.textContent = text;
    this.box.append(note);
  }
}

function rowOf({ n, time, stream, text }, painter) {
  const row = document.createElement("div");
  row.id = `L${n}`;
  row.className = `line ${stream}`;
  const number = document.createElement("a");
  number.href = `#L${n}`;
  number.textContent = n;
  number.tabIndex = -1; // thousands of stops would end the keyboard's use
  number.title = `${time} ${stream}`;
  const shown = document.createElement("span");
  shown.className = "text";
  shown.append(...painter.paint(text));
  row.append(number, shown);
  return row;
}

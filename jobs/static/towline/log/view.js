// The window onto a log: only the rows around the place that is looked at are in the page.
//
// The place is a line and how far it is scrolled past (the anchor), never a number of pixels from the log's beginning:
// rows may be as high as they like, and what is above may still be unknown. `space` is as high as the scroll bar should
// say; `rows` lies in it where the scroll position happens to be.

import { rowOf, gapRow } from "./row.js";
import { Scale } from "./scale.js";

const OVER = 100; // rows beyond either edge
const NEAR = 4000; // pixels: who scrolls further at once drags the thumb
const SETTLE_MS = 150;

export class View {
  // `moved({up, atBottom})` is called when the reader has scrolled, `drawn()` when rows may be others than before.
  constructor(box, text, { moved, drawn }) {
    this.box = box;
    this.text = text;
    this.moved = moved;
    this.drawn = drawn;
    this.space = document.createElement("div");
    this.space.className = "space";
    this.list = document.createElement("div");
    this.list.className = "rows";
    this.list.setAttribute("role", "list");
    this.space.append(this.list);
    box.replaceChildren(this.space);
    this.rowHeight = this.lineHeight = parseFloat(getComputedStyle(box).lineHeight);
    this.anchor = { n: 1, past: 0 };
    this.toEnd = false;
    this.told = null; // {first, last}: the lines that the address names
    this.look = { pattern: null, times: "off", start: null, size: -1 };
    this.rows = new Map();
    this.y = 0; // of the rows in the space
    this.top = 0; // what we know of the scroll position
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.resized()).observe(box);
  }

  // --- where to look --------------------------------------------------------------------------------------------------

  // The log's last line at the bottom, also when more come.
  showEnd() {
    this.toEnd = true;
    this.resized();
  }

  hold() {
    if (this.toEnd) this.anchor = this.anchorAt(this.top);
    this.toEnd = false;
  }

  showLine(n) {
    this.toEnd = false;
    this.anchor = { n, past: n === 1 ? 0 : null };
    this.moveBar(this.barAtAnchor());
  }

  // By pixels; what keys do.
  scrollBy(pixels) {
    this.box.scrollTop += pixels;
    this.scrolled();
  }

  // Rows as they would be made now.
  renew(look = {}) {
    Object.assign(this.look, look);
    this.rows.clear();
    this.list.replaceChildren();
    this.resized();
  }

  // Rows are as high as another style makes them; what was seen stays.
  restyled() {
    this.rowHeight = this.lineHeight;
    this.resized();
  }

  // The number of the first line that is seen in whole.
  get firstSeen() {
    const { n, past } = this.anchorAt(this.box.scrollTop);
    return past > this.lineHeight / 2 ? n + 1 : n;
  }

  get screen() {
    return Math.ceil(this.box.clientHeight / this.lineHeight) + 1;
  }

  // --- drawing --------------------------------------------------------------------------------------------------------

  // At the next frame: lines may come in many bursts before it.
  drawSoon() {
    this.due ??= requestAnimationFrame(() => this.draw());
  }

  // As it stands, whatever the browser did to the scroll position.
  resized() {
    this.top = this.box.scrollTop;
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.due);
    this.due = null;
    // The reader has scrolled and we were not told yet: that comes first.
    if (Math.abs(this.box.scrollTop - this.top) >= 1) return this.scrolled();
    const n = this.toEnd ? this.text.newest + 1 : this.anchor.n;
    const shown = this.text.around(n, OVER + (this.toEnd ? this.screen : 0), OVER + this.screen);
    this.shown = shown;
    this.fill(shown);
    if (this.list.firstChild) this.place(shown);
    else this.space.style.height = `${this.scale.height}px`;
    this.drawn();
  }

  fill({ before, after, atStart, atEnd }) {
    const lines = [...before, ...after];
    const { gaps, newest } = this.text;
    let last = atStart ? 0 : (lines[0]?.n ?? 1) - 1;
    const wanted = lines.flatMap((line) => {
      const rows = [...gaps.between(last, line.n).map((gap) => this.gap(gap)), this.row(line)];
      last = line.n;
      return rows;
    });
    if (atEnd) wanted.push(...gaps.between(last, newest + 1).map((gap) => this.gap(gap)));
    this.keep(wanted);
  }

  row(line) {
    const row = this.made(`L${line.n}`, () => rowOf(line, this.look));
    row.classList.toggle("told", Boolean(this.told) && this.told.first <= line.n && line.n <= this.told.last);
    row.classList.toggle("found", this.isHit?.(line.n) ?? false);
    row.classList.toggle("now", line.n === this.now);
    return row;
  }

  gap(gap) {
    return this.made(`G${gap.line}`, () => gapRow(gap));
  }

  made(key, make) {
    const row = this.rows.get(key) ?? make();
    this.rows.set(key, row);
    return row;
  }

  // Exactly these rows, in this order; what is there already stays untouched, a selection in it too.
  keep(wanted) {
    const stays = new Set(wanted);
    for (const [key, row] of this.rows) {
      if (stays.has(row)) continue;
      row.remove();
      this.rows.delete(key);
    }
    let at = this.list.firstChild;
    for (const row of wanted) {
      if (row === at) at = at.nextSibling;
      else this.list.insertBefore(row, at);
    }
  }

  // Put the rows so that the anchor is where it should be, and make the space as high as the scroll bar should say.
  place({ atStart, atEnd }) {
    const scale = this.scale;
    const height = this.list.offsetHeight;
    const view = this.box.clientHeight;
    const anchor = this.toEnd ? null : this.rowFrom(this.anchor.n);
    const bottom = !anchor && this.list.lastChild; // what is looked at lies behind the last row
    let { top } = this;
    let y = anchor ? top - this.past - anchor.offsetTop : this.nominal(this.list.firstChild, scale);
    if (atStart || y < 0) {
      // Above the rows there is nothing, or no room for what there is: the scroll position gives way, not the rows.
      const room = atStart ? 0 : view;
      top += room - y;
      y = room;
    }
    const whole = atEnd ? y + height : Math.max(scale.height, y + height + view);
    if (bottom) top = whole - view;
    top = Math.max(0, Math.min(top, whole - view));
    this.space.style.height = `${whole}px`;
    this.list.style.transform = `translateY(${y}px)`;
    this.y = y;
    if (Math.abs(this.box.scrollTop - top) >= 1) this.box.scrollTop = top;
    this.top = this.box.scrollTop;
  }

  // Who goes to a line sees some before it, too, in a box that may only get its height with the lines.
  get past() {
    return this.anchor.past ?? Math.round((this.lineHeight - this.box.clientHeight) / 3);
  }

  get scale() {
    return new Scale(this.text.rows, this.rowHeight);
  }

  nominal(row, scale) {
    return row ? scale.toBar(this.text.indexOf(numberOf(row)) * this.rowHeight) : this.y;
  }

  // --- scrolling ------------------------------------------------------------------------------------------------------

  scrolled() {
    const { scrollTop } = this.box;
    const by = scrollTop - this.top;
    if (Math.abs(by) < 1) return;
    this.top = scrollTop;
    this.toEnd = false;
    this.anchor = Math.abs(by) < NEAR ? this.anchorAt(scrollTop) : this.dragged(scrollTop);
    this.draw();
    const atBottom = this.shown.atEnd && this.space.offsetHeight - this.top - this.box.clientHeight < 2;
    this.moved({ up: by < 0, atBottom });
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLE_MS);
  }

  // The row at that scroll position, and how far it is scrolled past. Beyond the rows: by the height that they would have.
  anchorAt(top) {
    const at = top - this.y;
    const rows = [...this.list.children];
    const row = rows.find((other) => other.offsetTop + other.offsetHeight > at) ?? rows.at(-1);
    if (!row) return this.anchor;
    const n = numberOf(row);
    const past = at - row.offsetTop;
    // A gap's row stands before the line that it is named after.
    if (0 <= past && past < row.offsetHeight) return { n, past: at - (this.rows.get(`L${n}`) ?? row).offsetTop };
    const index = this.text.indexOf(n) + past / this.rowHeight;
    return { n: this.text.numberAt(Math.max(0, index)), past: 0 };
  }

  dragged(top) {
    const most = this.space.offsetHeight - this.box.clientHeight;
    if (top >= most - 1) return { n: this.text.newest + 1, past: 0 };
    const index = this.scale.toLog(top) / this.rowHeight;
    return { n: this.text.numberAt(index), past: 0 };
  }

  // Once the scrolling has come to rest, the thumb goes to where the place is in the log; what is seen stays.
  settle() {
    if (this.toEnd || !this.list.firstChild) return;
    this.rowHeight = Math.max(this.lineHeight, this.list.offsetHeight / this.list.children.length);
    const top = this.barAtAnchor();
    if (Math.abs(top - this.top) < this.box.clientHeight) return;
    this.moveBar(top);
  }

  moveBar(top) {
    this.space.style.height = `${Math.max(this.scale.height, top + this.box.clientHeight)}px`;
    this.box.scrollTop = top;
    this.resized();
  }

  barAtAnchor() {
    return this.scale.toBar(this.text.indexOf(this.anchor.n) * this.rowHeight + this.past);
  }

  // The first row of a line with that number or a higher one.
  rowFrom(n) {
    return this.rows.get(`L${n}`) ?? [...this.list.children].find((row) => row.id[0] === "L" && numberOf(row) >= n);
  }
}

function numberOf(row) {
  return Number(row.id.slice(1));
}

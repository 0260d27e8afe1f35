// The log of one attempt as far as the viewer knows it: what was read, where output is missing, and which rows lie where.

import { stateAfter } from "./ansi.js";
import { Gaps } from "./gaps.js";
import { Known } from "./known.js";
import { SHOWN_MOST } from "./row.js";

const PAGE = 500;
const AHEAD = 300; // lines known on either side of what is shown
const REACH_LEAST = 2000; // numbers looked through at a time for lines of one stream

export class Text {
  // `came()` is called when more is known, `failed(error)` when it can't be.
  constructor(source, { came, failed }) {
    this.source = source;
    this.on = { came, failed };
    this.stream = ""; // of one stream, or of both
    this.begin(0);
  }

  begin(attempt) {
    this.attempt = attempt;
    this.newest = 0; // the highest line number that there is
    this.start = null; // when it began
    this.gaps = new Gaps();
    this.forget();
  }

  filter(stream) {
    this.stream = stream;
    this.forget();
  }

  forget() {
    this.known = new Known(); // an answer that is still on its way goes into the old one
    this.seen = { numbers: 0, lines: 0 };
    this.busy = false;
    this.passOver();
  }

  // Numbers that have no line need not be asked for.
  passOver() {
    for (const { line, lines } of this.gaps.all) this.known.add(line - lines, line, []);
  }

  facts({ started_at: startedAt, log }) {
    this.newest = Math.max(this.newest, log.lines);
    this.start = startedAt ?? this.start;
    this.gaps.set(log.gaps);
    this.passOver();
  }

  missing(gap) {
    this.gaps.add(gap);
    this.passOver();
  }

  // Lines that came live, all there are behind number `after`.
  append(after, lines) {
    this.newest = Math.max(this.newest, lines.at(-1).n);
    this.learn(this.known, after + 1, lines.at(-1).n + 1, this.ours(lines));
  }

  // What lies around number `n`, as far as it is known: {before, after}, each with `lines` and whether it is all there is.
  // What is not known yet is asked for.
  around(n, up, down) {
    const before = this.known.before(n, Math.max(up, AHEAD));
    const after = this.known.after(n, Math.max(down, AHEAD), this.newest);
    if (this.attempt) this.fetch(n, before, after);
    this.known.trim(n);
    return {
      before: before.lines.slice(-up),
      after: after.lines.slice(0, down),
      atStart: before.missing === null && before.whole && before.lines.length <= up,
      atEnd: after.missing === null && after.whole && after.lines.length <= down,
      loading: this.busy,
    };
  }

  // --- how many rows there are, and which is where: exact for both streams, for one of them as far as seen ------------

  get rows() {
    return this.indexOf(this.newest + 1);
  }

  indexOf(n) {
    return (n - 1 - this.gaps.missingBelow(n)) * this.share();
  }

  numberAt(index) {
    return Math.min(Math.max(1, this.gaps.numberAt(Math.floor(index / this.share()))), Math.max(1, this.newest));
  }

  share() {
    const { numbers, lines } = this.seen;
    return this.stream && numbers ? Math.max(lines, 1) / numbers : 1;
  }

  // --- reading --------------------------------------------------------------------------------------------------------

  // One page at a time: what lies nearest first, and when nothing is known there, both sides at once.
  fetch(n, before, after) {
    if (this.busy || !this.newest) return;
    const bare = before.missing === n - 1 && after.missing === n;
    if (bare && !this.stream) return this.read({ from: Math.max(this.known.edgeBelow(n), n - PAGE / 2), limit: PAGE });
    const upNext = before.missing !== null && (after.missing === null || before.lines.length < after.lines.length);
    if (upNext) this.read(this.above(before.missing));
    else if (after.missing !== null) this.read({ from: after.missing, limit: PAGE });
  }

  // A page that ends at `n`, of what is not known yet. How far back one stream's page reaches is a guess.
  above(n) {
    const reach = this.stream ? Math.max(REACH_LEAST, Math.ceil((2 * PAGE) / this.share())) : PAGE;
    const from = Math.max(this.known.edgeBelow(n), n - reach + 1);
    return { from, limit: this.stream ? PAGE : n - from + 1 };
  }

  async read({ from, limit }) {
    const { known, stream, attempt } = this;
    this.busy = true;
    try {
      const { lines, next } = await this.source.page({ attempt, from, limit, stream });
      if (known !== this.known) return;
      if (next <= from) throw new Error(`there is nothing from line ${from} on`);
      this.seen.numbers += next - from;
      this.seen.lines += lines.length;
      this.newest = Math.max(this.newest, next - 1);
      this.learn(known, from, next, lines);
    } catch (error) {
      if (known === this.known) this.on.failed(error);
      return;
    } finally {
      if (known === this.known) this.busy = false;
    }
    this.on.came();
  }

  // Cut what is too long to be shown, and carry colours on from line to line.
  learn(known, from, next, lines) {
    let states = known.line(from - 1)?.ends ?? {};
    const learnt = lines.map(({ text, ...line }) => {
      const shown = text.slice(0, SHOWN_MOST);
      const state = states[line.stream] ?? null;
      const after = stateAfter(shown, state);
      if (after !== state) states = { ...states, [line.stream]: after };
      return { ...line, text: shown, length: text.length, state, ends: states };
    });
    known.add(from, next, learnt);
  }

  ours(lines) {
    return this.stream ? lines.filter((line) => line.stream === this.stream) : lines;
  }

  // The whole text of a line that was cut.
  async whole(n) {
    const { lines } = await this.source.page({ attempt: this.attempt, from: n, limit: 1 });
    return lines[0].text;
  }
}

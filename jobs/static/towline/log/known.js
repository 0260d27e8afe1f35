// What was read of a log so far: stretches of line numbers, each with all its lines. Bounded: what lies farthest goes.
// A number in a stretch without a line is known to have none: it was cut out, or belongs to the other stream.

const LINE_COSTS = 200; // of memory, beside its text; in characters
const MOST = 12_000_000; // characters, of which a trim leaves half

export class Known {
  constructor() {
    this.clear();
  }

  clear() {
    this.stretches = []; // {from, next, lines}: everything with from <= n < next
    this.cost = 0;
  }

  // `lines` are all that there are with `from` <= n < `next`.
  add(from, next, lines) {
    if (next <= from) return;
    const last = this.stretches.at(-1);
    for (const line of lines) this.cost += costOf(line);
    if (last && last.next === from) {
      last.lines.push(...lines);
      last.next = next;
      return;
    }
    const apart = (other) => other.next < from || other.from > next;
    const touching = this.stretches.filter((other) => !apart(other));
    const joined = {
      from: Math.min(from, ...touching.map((other) => other.from)),
      next: Math.max(next, ...touching.map((other) => other.next)),
      lines: [
        ...touching.flatMap((other) => other.lines.slice(0, indexOf(other.lines, from))),
        ...lines,
        ...touching.flatMap((other) => other.lines.slice(indexOf(other.lines, next))),
      ],
    };
    this.stretches = [...this.stretches.filter(apart), joined].sort((a, b) => a.from - b.from);
  }

  // Up to `most` lines from number `n` on, up to `end`. `missing`: the first number that is not known; null: nothing is.
  after(n, most, end) {
    const stretch = this.holding(n);
    if (!stretch) return { lines: [], missing: n <= end ? n : null, whole: n > end };
    const at = indexOf(stretch.lines, n);
    const lines = stretch.lines.slice(at, at + most);
    const whole = at + most >= stretch.lines.length;
    return { lines, missing: whole && stretch.next <= end ? stretch.next : null, whole };
  }

  // Up to `most` lines before number `n`. `missing`: the last number before them that is not known; null: nothing is.
  before(n, most) {
    const stretch = this.holding(n - 1);
    if (!stretch) return { lines: [], missing: n > 1 ? n - 1 : null, whole: n <= 1 };
    const at = indexOf(stretch.lines, n);
    const lines = stretch.lines.slice(Math.max(0, at - most), at);
    const whole = at <= most;
    return { lines, missing: whole && stretch.from > 1 ? stretch.from - 1 : null, whole };
  }

  line(n) {
    const stretch = this.holding(n);
    const found = stretch?.lines[indexOf(stretch.lines, n)];
    return found?.n === n ? found : undefined;
  }

  // Where what is known before number `n` ends: nothing between is known. 1: nothing before is.
  edgeBelow(n) {
    return Math.max(1, ...this.stretches.filter((other) => other.next <= n).map((other) => other.next));
  }

  // When there is too much, keep the half that lies around number `n`.
  trim(n) {
    if (this.cost <= MOST) return;
    const apart = ({ from, next }) => Math.max(0, from - n, n - next + 1);
    const nearest = [...this.stretches].sort((a, b) => apart(a) - apart(b));
    this.clear();
    for (const stretch of nearest) {
      if (this.cost < MOST / 2) this.add(...cutAround(stretch, n, MOST / 2 - this.cost));
    }
  }

  holding(n) {
    return this.stretches.find((stretch) => stretch.from <= n && n < stretch.next);
  }
}

function costOf(line) {
  return line.text.length + LINE_COSTS;
}

// Of a stretch, what lies nearest to `n` and costs no more than `budget`, at least one line; as arguments of `add`.
function cutAround({ from, next, lines }, n, budget) {
  let low = Math.min(Math.max(0, lines.length - 1), indexOf(lines, n));
  let high = low;
  let left = budget;
  while (left > 0 && (low > 0 || high < lines.length)) {
    if (low > 0) left -= costOf(lines[--low]);
    if (high < lines.length) left -= costOf(lines[high++]);
  }
  const cut = lines.slice(low, high);
  return [low > 0 ? lines[low - 1].n + 1 : from, high < lines.length ? lines[high].n : next, cut];
}

// Of lines in order, the index of the first with a number of `n` or more.
function indexOf(lines, n) {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].n < n) low = middle + 1;
    else high = middle;
  }
  return low;
}

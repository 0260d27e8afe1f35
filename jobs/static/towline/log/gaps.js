// Where output is missing: {line, reason, lines, bytes, since, until}, each right before its line. `lines` numbers before
// it have no line then; they take no room in the view.

const WHY = {
  rotated: "the runtime dropped it before it was read",
  removed: "the container was removed before it was read",
  capped: "more than is kept of one attempt",
  unreadable: "the runtime could not read it",
};

export class Gaps {
  constructor() {
    this.all = [];
  }

  set(gaps) {
    this.all = [...gaps].sort((a, b) => a.line - b.line);
  }

  add(gap) {
    this.set([...this.all.filter((other) => other.line !== gap.line), gap]);
  }

  // Those right before a line with `after` < number <= `upTo`.
  between(after, upTo) {
    return this.all.filter((gap) => after < gap.line && gap.line <= upTo);
  }

  // How many numbers below `n` have no line.
  missingBelow(n) {
    return this.all.reduce((sum, gap) => sum + Math.min(gap.lines, Math.max(0, n - (gap.line - gap.lines))), 0);
  }

  // The number of the line that has so many others before it.
  numberAt(index) {
    return this.all.reduce((n, gap) => (gap.line - gap.lines <= n ? n + gap.lines : n), index + 1);
  }
}

export function sentence({ line, reason, lines, bytes, since, until }) {
  const what = lines ? `${counted(lines, "line")} missing, ${line - lines} to ${line - 1}` : "Output missing";
  const size = bytes == null ? "" : ` (${counted(bytes, "byte")})`;
  const times = [since && `from ${clock(since)}`, until && `until ${clock(until)}`].filter(Boolean).join(" ");
  return `${what}${size}${times ? `, ${times}` : ""}: ${WHY[reason] ?? reason}.`;
}

function counted(count, thing) {
  return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}

function clock(stamp) {
  return `${stamp.slice(0, 10)} ${stamp.slice(11, 19)} UTC`;
}

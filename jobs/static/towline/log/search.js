// Searching the log: the server finds the lines, all of them, also those that are not in the page; new ones are looked
// through here as they come.

import { patternOf } from "./marks.js";
import { counted } from "./words.js";

const PORTION = 2000; // hits asked for at once
const TELL = 500; // hits, between words of how it goes

export class Search {
  // `changed()` is called when hits came, and at the end.
  constructor(source, { changed }) {
    this.source = source;
    this.changed = () => {};
    this.clear();
    this.changed = changed;
  }

  clear() {
    this.stop?.abort();
    this.wanted = null; // {query, regex, ignoreCase}
    this.pattern = null;
    this.hits = []; // line numbers, in order
    this.listed = new Set();
    this.more = null; // where further hits begin, if there are any
    this.running = false;
    this.failure = "";
    this.changed();
  }

  // In all stored lines of an attempt, of one stream or both; earlier searches are dropped.
  find(wanted, { job, attempt, stream }) {
    this.clear();
    this.wanted = wanted;
    this.stream = stream;
    this.pattern = patternOf(wanted);
    this.asked = { q: wanted.query, regex: wanted.regex, ignore_case: wanted.ignoreCase, job, attempt, stream };
    return this.goOn();
  }

  // The next portion of hits, behind those that are listed.
  async goOn() {
    if (this.running) return;
    this.running = true;
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.changed();
    try {
      await this.read(this.source.search({ ...this.asked, limit: PORTION, cursor: this.more }), signal);
    } catch (error) {
      if (!signal.aborted) this.failure = error.message;
    }
    if (signal.aborted) return;
    this.running = false;
    this.changed();
  }

  async read(address, signal) {
    const answer = await fetch(address, { headers: { Accept: "application/x-ndjson" }, signal });
    if (!answer.ok) throw new Error(await complaint(answer));
    let ended = false;
    for await (const row of rowsOf(answer.body)) {
      if (signal.aborted) return;
      if (row.line) this.take(row);
      if (row.end) {
        ended = true;
        this.more = row.more && row.next;
      }
      if (this.hits.length % TELL === 1) this.changed();
    }
    if (!ended) throw new Error("The search was cut off.");
  }

  take({ line, stream }) {
    if (this.listed.has(line) || (this.stream && stream !== this.stream)) return;
    this.listed.add(line);
    if (line > (this.hits.at(-1) ?? 0)) this.hits.push(line);
    else this.hits.splice(this.after(line), 0, line);
  }

  // New lines of a log that grows.
  look(lines) {
    if (!this.pattern) return;
    for (const { n, stream, text } of lines) {
      this.pattern.lastIndex = 0;
      if (this.pattern.test(text)) this.take({ line: n, stream });
    }
  }

  // The next hit behind line `n`, or before it; round the end.
  next(n, back) {
    if (!this.hits.length) return null;
    const at = back ? this.after(n - 1) - 1 : this.after(n);
    return this.hits.at(at % this.hits.length);
  }

  // How many hits have a number of at most `n`.
  after(n) {
    let low = 0;
    let high = this.hits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.hits[middle] <= n) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(n) {
    return this.listed.has(n);
  }

  // "3 of 120", with "lines" where no hit is chosen.
  standing(now) {
    if (!this.wanted) return "";
    if (this.failure) return this.failure;
    if (this.running && !this.hits.length) return "Searching…";
    if (!this.hits.length) return "No lines";
    const all = `${this.hits.length.toLocaleString("en")}${this.more ? "+" : ""}`;
    if (this.has(now)) return `${this.after(now).toLocaleString("en")} of ${all}`;
    return this.hits.length === 1 ? counted(1) : `${all} lines`;
  }
}

// The JSON objects of an answer with one a line, as they come.
async function* rowsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const rows = (rest + (value ?? "")).split("\n");
    rest = done ? "" : rows.pop();
    yield* rows.filter(Boolean).map((row) => JSON.parse(row));
    if (done) return;
  }
}

// What the server says is wrong with the search.
async function complaint(answer) {
  const problem = await answer.json().catch(() => ({}));
  return Object.values(problem.errors ?? {}).flat()[0] ?? problem.detail ?? `The search answered ${answer.status}.`;
}

// Asks the search, shows hits as they are found, a group for each attempt, and goes on behind the last when asked to.

import { marked, patternOf } from "../log/marks.js";

const LIMIT = 500;
const SHOWN_MOST = 4000; // characters of a line
const OURS = ["q", "regex", "ignore_case", "stream"];

class Page {
  constructor(section) {
    this.section = section;
    this.status = section.querySelector(".status");
    this.groups = section.querySelector(".groups");
    this.more = section.querySelector(".more button");
    this.more.addEventListener("click", () => this.search(this.next));
    this.asked = new URLSearchParams(location.search);
    const [query, regex, ignoreCase] = [this.asked.get("q"), this.asked.has("regex"), this.asked.has("ignore_case")];
    this.pattern = patternOf({ query, regex, ignoreCase });
    this.found = 0;
    this.done = { attempts: 0, bytes: 0, passed_over_bytes: 0 };
  }

  address(cursor) {
    const given = new URLSearchParams({ limit: LIMIT });
    for (const name of [...OURS, "project", "state"]) {
      const value = this.asked.get(name);
      if (value) given.set(name, value === "on" ? "true" : value);
    }
    const within = Number(this.asked.get("within"));
    if (within) given.set("since", new Date(Date.now() - within * 1000).toISOString());
    if (cursor) given.set("cursor", cursor);
    return `${this.section.dataset.search}?${given}`;
  }

  async search(cursor) {
    this.more.hidden = true;
    this.section.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(this.address(cursor), { headers: { Accept: "application/x-ndjson" } });
      if (!answer.ok) throw new Error(await complaint(answer));
      for await (const row of rows(answer.body)) this.take(row);
    } catch (error) {
      this.status.classList.add("wrong");
      this.status.textContent = error.message;
    }
    this.section.removeAttribute("aria-busy");
  }

  take(row) {
    if (row.job) {
      this.found += 1;
      this.group(row).append(this.line(row));
    }
    if (row.end) this.end(row);
    else this.status.textContent = `Searching … ${this.found} lines so far${row.searched ? `, ${told(row.searched)}` : ""}`;
  }

  end(row) {
    for (const key of Object.keys(this.done)) this.done[key] += row.searched[key];
    this.next = row.next;
    this.more.hidden = !row.more;
    const what = this.found ? `${this.found} line${this.found === 1 ? "" : "s"}` : "No line has it";
    const trouble = row.searched.unreadable.map((text) => ` ${text}`).join("");
    this.status.textContent = `${what}${row.more ? ", and there may be more" : ""}; ${told(this.done)}.${trouble}`;
  }

  group(row) {
    const key = `${row.job}-${row.attempt}`;
    if (this.last?.dataset.key !== key) {
      const box = make("div", "group");
      const head = make("h2");
      const link = make("a", "", row.name || row.job);
      link.href = this.page(row);
      head.append(link, ` attempt ${row.attempt} `, make("span", "id", row.job));
      this.last = make("ol");
      this.last.dataset.key = key;
      box.append(head, this.last);
      this.groups.append(box);
    }
    return this.last;
  }

  line(row) {
    const item = make("li", row.stream);
    const number = make("a", "", row.line);
    number.href = `${this.page(row)}#L${row.line}`;
    number.setAttribute("aria-label", `line ${row.line}`);
    const time = make("time", "", row.time.slice(0, 23).replace("T", " "));
    time.dateTime = row.time;
    const text = make("span", "text");
    const stretches = marked([{ text: row.text.slice(0, SHOWN_MOST) }], this.pattern);
    text.append(...stretches.map(({ text: part, hit }) => (hit ? make("mark", "", part) : part)));
    item.append(number, time, text);
    return item;
  }

  page(row) {
    return `${this.section.dataset.job.replace("00000000-0000-0000-0000-000000000000", row.job)}?attempt=${row.attempt}`;
  }
}

async function* rows(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function complaint(answer) {
  const problem = await answer.json().catch(() => ({}));
  const fields = Object.entries(problem.errors ?? {}).map(([field, texts]) => `${field}: ${texts.join(" ")}`);
  return fields.join("; ") || problem.detail || `The search answered ${answer.status}.`;
}

function told(searched) {
  return `${searched.attempts} logs, ${size(searched.bytes)} read, ${size(searched.passed_over_bytes)} passed over`;
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, bytes ? Math.floor(Math.log2(bytes) / 10) : 0);
  return `${(bytes / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

function make(kind, name = "", text = "") {
  const made = document.createElement(kind);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

const section = document.querySelector(".hits");
if (section) new Page(section).search();

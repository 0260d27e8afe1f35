// The log on a page: follows it live, scrolls back by pages, and says how it stands and how it ended.

import { Lines } from "./lines.js";
import { Source } from "./source.js";

const LINES_MOST = 4000; // in the page at a time
const PAGE = 1000;
const NEAR = 300; // pixels from an edge at which more is fetched
const SAY_MS = 250;

export class LogPanel {
  // `onState(data)` and `onEnd(data)` tell the page what the stream told.
  constructor(root, { onState = () => {}, onEnd = () => {} } = {}) {
    const part = (name) => root.querySelector(`[data-log-${name}]`);
    this.root = root;
    this.box = part("lines");
    this.facts = part("facts");
    this.foot = part("end");
    this.button = part("follow");
    this.download = part("download");
    this.attempt = Number(root.dataset.attempt) || 0; // 0: there is none yet
    this.fixed = "fixed" in root.dataset;
    this.following = true;
    this.newest = 0; // the highest line number known of
    this.heardLast = 0; // by the stream
    this.over = null;
    this.lines = new Lines(this.box, LINES_MOST);
    this.on = { onState, onEnd };
    this.source = new Source(root.dataset.url, this.heard(), () => this.position());
    this.listen(part("first"), part("wrap"));
  }

  async open() {
    const wanted = hashLine();
    if (this.fixed && "final" in this.root.dataset) return this.openFinal(wanted);
    if (wanted && this.attempt) await this.goTo(wanted);
    this.source.open();
  }

  // An attempt that is over has nothing to follow, and the job's stream would go on to the next attempt.
  async openFinal(wanted) {
    this.over = {};
    const { next } = await this.source.page({ attempt: this.attempt, tail: 1 });
    this.newest = next - 1;
    await (wanted ? this.goTo(wanted) : this.follow());
    this.say();
  }

  heard() {
    return {
      lines: (lines) => this.take(lines),
      state: (data) => this.stand(data),
      gap: (data) => this.lines.note(`Gap: ${data.detail ?? data.reason ?? "output was lost"}`, "gap"),
      end: (data) => this.finish(data),
      connected: (yes) => {
        this.connected = yes;
        this.say();
      },
    };
  }

  // Where a stream begins that is opened anew: behind the last line heard, or with the last page.
  position() {
    const from = this.heardLast ? { from: this.heardLast + 1 } : { tail: this.following ? PAGE : 1 };
    return { attempt: this.attempt, ...from };
  }

  take(lines) {
    this.heardLast = lines[lines.length - 1].n;
    this.newest = Math.max(this.newest, this.heardLast);
    if (this.following) {
      if (!this.lines.append(lines)) this.fill();
      this.toTheEnd();
    } else {
      this.lines.appendWhatFits(lines);
    }
    this.say();
  }

  stand(data) {
    this.state = data;
    if (data.attempt && data.attempt !== this.attempt) this.begin(data.attempt);
    this.on.onState(data);
    this.say();
  }

  // The job is tried again: its new attempt has a log of its own.
  begin(attempt) {
    if (this.fixed) {
      this.source.close();
      this.finish({});
      return;
    }
    const again = this.attempt > 0;
    this.attempt = attempt;
    this.newest = this.heardLast = 0;
    this.lines.clear();
    if (again) this.lines.note(`Attempt ${attempt} begins. Earlier ones have their logs on pages of their own.`);
    this.download.href = `${this.root.dataset.url}?attempt=${attempt}`;
    this.follow();
  }

  finish(data) {
    this.over = data;
    this.say();
    this.on.onEnd(data);
  }

  // --- moving about ------------------------------------------------------------------------------------------------

  async follow() {
    this.setFollowing(true);
    await this.fill();
    this.toTheEnd();
  }

  // Fetch what the window misses up to the newest line; live lines may come in between.
  async fill() {
    if (this.filling) return;
    this.filling = true;
    try {
      while (this.following && this.lines.last < this.newest) await this.fetchTail();
    } finally {
      this.filling = false;
      this.say();
    }
  }

  async fetchTail() {
    const start = this.newest - PAGE + 1;
    const from = Math.max(1, start, this.lines.empty ? 1 : this.lines.last + 1);
    const { lines } = await this.source.page({ attempt: this.attempt, from, limit: PAGE });
    if (!lines.length) throw new Error(`no lines from ${from} on`);
    if (lines[0].n > this.lines.last + 1) this.lines.clear();
    this.lines.append(lines);
    this.toTheEnd();
  }

  async goTo(n) {
    this.setFollowing(false);
    if (!this.lines.row(n)) {
      const from = Math.max(1, n - PAGE / 2);
      const { lines } = await this.source.page({ attempt: this.attempt, from, limit: PAGE });
      if (!lines.length) return this.follow();
      this.lines.clear();
      this.lines.append(lines);
      this.newest = Math.max(this.newest, this.lines.last);
    }
    this.point(n);
    this.say();
  }

  point(n) {
    this.box.querySelector(".told")?.classList.remove("told");
    const row = this.lines.row(n);
    if (!row) return;
    row.classList.add("told");
    row.scrollIntoView({ block: n === 1 ? "start" : "center" });
    this.lastTop = this.box.scrollTop;
  }

  async more() {
    if (this.fetching || this.lines.empty) return;
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    const above = scrollTop < NEAR && this.lines.first > 1;
    const below = scrollHeight - scrollTop - clientHeight < NEAR && this.lines.last < this.newest;
    if (!above && !below) return;
    this.fetching = true;
    try {
      await (above ? this.older() : this.newer());
    } finally {
      this.fetching = false;
    }
  }

  async older() {
    const from = Math.max(1, this.lines.first - PAGE);
    const { lines } = await this.source.page({ attempt: this.attempt, from, limit: this.lines.first - from });
    this.keepingPlace(() => this.lines.prepend(lines));
  }

  async newer() {
    const { lines } = await this.source.page({ attempt: this.attempt, from: this.lines.last + 1, limit: PAGE });
    this.keepingPlace(() => this.lines.append(lines));
  }

  // What the reader looks at stays where it is while lines come and go around it.
  keepingPlace(change) {
    const top = this.box.getBoundingClientRect().top;
    const seen = [...this.box.children].find((row) => row.getBoundingClientRect().bottom > top);
    const before = seen?.getBoundingClientRect().top;
    change();
    if (seen?.isConnected) this.box.scrollTop += seen.getBoundingClientRect().top - before;
    this.lastTop = this.box.scrollTop;
  }

  toTheEnd() {
    if (!this.following) return;
    this.box.scrollTop = this.box.scrollHeight;
    this.lastTop = this.box.scrollTop;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    const atTheEnd = scrollHeight - scrollTop - clientHeight < 4;
    if (this.following && scrollTop < this.lastTop - 4 && !atTheEnd) this.setFollowing(false);
    else if (!this.following && atTheEnd && scrollTop > this.lastTop && this.lines.last === this.newest) this.setFollowing(true);
    this.lastTop = scrollTop;
    if (!this.following) this.more();
  }

  setFollowing(yes) {
    this.following = yes;
    this.say();
  }

  // --- what it says ------------------------------------------------------------------------------------------------

  // At most a few times a second: a screen reader must get a word in.
  say() {
    this.saying ??= setTimeout(() => {
      this.saying = null;
      put(this.button, this.offer());
      put(this.facts, `${this.attempt ? `attempt ${this.attempt}, ` : ""}${counted(this.newest)}`);
      put(this.foot, this.standing());
    }, SAY_MS);
  }

  // What the button does next.
  offer() {
    if (this.over) return "Last line";
    const below = this.newest - this.lines.last;
    return this.following ? "Pause" : below > 0 ? `Follow (${below} more)` : "Follow";
  }

  standing() {
    if (this.over?.state) return ending(this.over);
    if (this.over) return "This attempt is over.";
    if (this.connected === false) return "Not connected. Trying again…";
    if (this.state?.waiting_reason) return `Waits: ${this.state.waiting_reason}. Its output will appear here.`;
    if (!this.newest) return "No output yet.";
    return this.following ? "Following live." : "Paused: new lines are stored and not shown.";
  }

  listen(first, wrap) {
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.button.addEventListener("click", () => this.toggle());
    first.addEventListener("click", () => this.goTo(1));
    wrap.addEventListener("click", () => {
      wrap.setAttribute("aria-pressed", String(this.box.classList.toggle("wrap")));
      this.toTheEnd();
    });
    this.root.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("hashchange", () => hashLine() && this.goTo(hashLine()));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { f: () => this.toggle(), Home: () => this.goTo(1), End: () => this.follow() }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  toggle() {
    if (this.following && !this.over) this.setFollowing(false);
    else this.follow();
  }
}

function ending({ state, exit_code, verdict, lines, complete }) {
  const code = exit_code === null ? "" : `, exit code ${exit_code}`;
  const why = verdict ? `: ${verdict.code}` : "";
  const whole = complete === false ? ", with gaps" : complete ? ", complete" : "";
  return `End: ${state}${why}${code}. ${counted(lines)}${whole}.`;
}

function counted(lines) {
  return lines === 1 ? "1 line" : `${lines.toLocaleString("en")} lines`;
}

// Only when it is new: a live region repeats what is set again.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function hashLine() {
  return Number(/^#L(\d{1,15})$/.exec(window.location.hash)?.[1]) || 0;
}

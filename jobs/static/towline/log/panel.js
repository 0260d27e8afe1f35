// The log on a page: which attempt is shown, how it stands, following it live or holding still.

import { Source } from "./source.js";
import { Text } from "./text.js";
import { View } from "./view.js";
import { counted, ending, put } from "./words.js";

const SAY_MS = 250;
const AGAIN_MS = 1000;
const AGAIN_MS_MOST = 20000;

export class LogPanel {
  // `onState(data)` and `onEnd(data)` tell the page what the stream told.
  constructor(root, { onState, onEnd }) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-log-${name}]`);
    this.attempt = Number(root.dataset.attempt) || 0; // 0: there is none yet
    this.fixed = "fixed" in root.dataset; // of this attempt alone
    this.alone = this.fixed && root.dataset.page !== window.location.pathname; // on a page of its own
    this.following = true;
    this.heardLast = 0; // by the stream
    this.over = null; // how it ended
    this.later = 0; // an attempt that began while we hold still at an earlier one
    this.on = { onState, onEnd };
    this.watchers = []; // {lines(lines), begun(), filtered()}: who else wants to know
    this.source = new Source(root.dataset.url, this.heard(), () => this.position());
    this.text = new Text(this.source, { came: () => this.came(), failed: (error) => this.failed(error) });
    this.view = new View(this.part("lines"), this.text, {
      moved: (how) => this.moved(how),
      drawn: () => this.drawn(),
    });
    this.part("follow").addEventListener("click", () => this.toggle());
    this.part("new").addEventListener("click", () => {
      this.view.box.focus({ preventScroll: true }); // the button goes, and would take the focus with it
      this.follow();
    });
  }

  // `place`: {first, last} to begin at; null: at the end.
  async open(place) {
    this.text.begin(this.attempt);
    if (this.attempt) await this.learn();
    this.heardLast = this.text.newest;
    if (place && this.text.newest) this.goTo(place);
    else this.follow();
    if (!this.over) this.source.open();
    this.say();
  }

  // What the attempt says of itself: how long its log is, where output is missing, when it began.
  async learn() {
    const facts = await this.source.attempt(this.attempt);
    this.text.facts(facts);
    this.view.look.start = this.text.start;
    const { state, exit_code, verdict, log } = facts;
    // The stream of a fixed attempt would have nothing to tell, and the job's goes on to the next one.
    if (this.fixed && "final" in this.root.dataset) this.over = { state, exit_code, verdict, ...log };
    if (this.over) this.view.look.size = this.text.newest;
  }

  // --- what the stream tells ------------------------------------------------------------------------------------------

  heard() {
    return {
      lines: (lines) => this.take(lines),
      state: (data) => this.stand(data),
      gap: (gap) => this.missing(gap),
      end: (data) => this.finish(data),
      connected: (yes) => {
        this.connected = yes;
        this.say();
      },
    };
  }

  // Where a stream begins that is opened anew: behind the last line heard.
  position() {
    return { attempt: this.attempt, from: this.heardLast + 1 };
  }

  take(lines) {
    const fresh = this.later ? [] : lines.filter(({ n }) => n > this.heardLast);
    if (!fresh.length) return;
    this.text.append(this.heardLast, fresh);
    this.heardLast = fresh.at(-1).n;
    for (const watcher of this.watchers) watcher.lines(fresh);
    this.view.drawSoon();
    this.say();
  }

  missing(gap) {
    if (this.later) return;
    this.text.missing(gap);
    this.view.drawSoon();
  }

  stand(data) {
    this.state = data;
    if (data.attempt && data.attempt !== this.attempt) this.another(data.attempt);
    this.on.onState(data);
    this.say();
  }

  // The job is tried again: the new attempt has a log of its own. Who holds still stays where they are.
  another(attempt) {
    if (this.attempt && (this.fixed || !this.following)) {
      if (this.later !== attempt) this.announce(`Attempt ${attempt} has begun.`, attempt);
      this.later = attempt;
      if (this.alone) this.source.close(); // on an attempt's own page nothing more can come
      if (this.alone) this.on.onEnd({});
      return;
    }
    if (this.attempt) this.announce(`Attempt ${attempt} begins. The log of attempt ${this.attempt}:`, this.attempt);
    this.attempt = attempt;
    this.heardLast = 0;
    this.text.begin(attempt);
    this.view.renew({ start: null, size: -1 });
    for (const watcher of this.watchers) watcher.begun();
    this.part("download").href = `${this.root.dataset.url}?attempt=${attempt}`;
    this.follow();
  }

  // A sentence, and the way to an attempt.
  announce(text, attempt) {
    const link = document.createElement("a");
    link.href = `${this.root.dataset.page}?attempt=${attempt}`;
    link.textContent = `Attempt ${attempt}`;
    this.part("notice").replaceChildren(`${text} `, link);
    this.part("notice").hidden = false;
  }

  async finish(data) {
    this.over = data;
    this.say();
    this.on.onEnd(data);
    if (this.attempt) await this.learn().catch((error) => this.failed(error));
    this.view.drawSoon();
  }

  // --- moving about ---------------------------------------------------------------------------------------------------

  follow() {
    this.setFollowing(true);
    this.view.showEnd();
  }

  hold() {
    this.setFollowing(false);
    this.view.hold();
  }

  toggle() {
    if (this.following && !this.over) this.hold();
    else this.follow();
  }

  // Show a line, or the first of several, and mark them. Beyond the end: the last one.
  goTo({ first, last }) {
    const n = Math.max(1, Math.min(first, this.text.newest));
    this.setFollowing(false);
    this.view.told = { first: n, last: Math.max(n, Math.min(last, this.text.newest)) };
    this.view.showLine(n);
  }

  toFirst() {
    this.setFollowing(false);
    this.view.showLine(1);
  }

  // Lines of one stream alone, or of both (""), around the same place.
  filter(stream) {
    if (!this.following) this.view.anchor = { n: this.view.firstSeen, past: 0 };
    this.text.filter(stream);
    this.view.renew();
    for (const watcher of this.watchers) watcher.filtered();
  }

  moved({ up, atBottom }) {
    if (up && this.following) this.setFollowing(false);
    else if (atBottom && !up && !this.following) this.follow();
  }

  setFollowing(yes) {
    if (this.following && !yes) this.heldAt = this.text.newest;
    this.following = yes;
    this.say();
  }

  // --- when more is known, and when it can't be -----------------------------------------------------------------------

  came() {
    this.trouble = "";
    this.againMs = AGAIN_MS;
    this.view.drawSoon();
    this.say();
  }

  failed(error) {
    this.trouble = error.message;
    clearTimeout(this.again);
    this.again = setTimeout(() => this.view.drawSoon(), this.againMs ?? AGAIN_MS);
    this.againMs = Math.min((this.againMs ?? AGAIN_MS) * 2, AGAIN_MS_MOST);
    this.say();
  }

  // --- what it says ---------------------------------------------------------------------------------------------------

  drawn() {
    const { atStart, atEnd, loading } = this.view.shown;
    const bare = !this.view.list.firstChild;
    const nothing = bare && atStart && atEnd && this.text.newest > 0;
    const kept = this.text.stream ? `There is no line of ${this.text.stream}.` : "None of its lines are kept any more.";
    put(this.part("hint"), nothing ? kept : bare && loading ? "Loading…" : "");
  }

  // At most a few times a second: a screen reader must get a word in.
  say() {
    this.saying ??= setTimeout(() => {
      this.saying = null;
      put(this.part("follow"), this.offer());
      put(this.part("facts"), `${this.attempt ? `attempt ${this.attempt}, ` : ""}${counted(this.text.newest)}`);
      put(this.part("end"), this.standing());
      const fresh = this.following ? 0 : this.text.newest - this.heldAt;
      this.part("new").hidden = !fresh;
      if (fresh) put(this.part("new"), `↓ ${counted(fresh, "new line")}`);
    }, SAY_MS);
  }

  // What the button does next.
  offer() {
    if (this.over) return "Last line";
    return this.following ? "Pause" : "Follow";
  }

  standing() {
    if (this.trouble) return `The log can't be read: ${this.trouble}. Trying again…`;
    if (this.later) return `Attempt ${this.attempt} is over, attempt ${this.later} has begun.`;
    if (this.over) return ending(this.over);
    if (this.connected === false) return "Not connected. Trying again…";
    if (this.state?.waiting_reason) return `Waits: ${this.state.waiting_reason}. Its output will appear here.`;
    if (!this.text.newest) return "No output yet.";
    return this.following ? "Following live." : "Paused: new lines are stored, and shown when you go on.";
  }
}

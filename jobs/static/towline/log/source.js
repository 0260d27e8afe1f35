// Where lines come from: the event stream, reopened where it stopped, and pages of lines by number.

const RETRY_MS = 1000;
const RETRY_MS_MOST = 20000;

export class Source {
  // `heard` has: lines(lines), state(data), gap(data), end(data), connected(bool). `position()` says what to go on from.
  constructor(url, heard, position) {
    this.url = url;
    this.heard = heard;
    this.position = position;
    this.retryMs = RETRY_MS;
    this.closed = false;
  }

  open() {
    if (this.closed) return;
    const stream = new EventSource(this.address({ ...this.position(), onward: 1 }));
    this.stream = stream;
    const on = (name, told) =>
      stream.addEventListener(name, (event) => this.closed || told(JSON.parse(event.data)));
    stream.onopen = () => {
      this.retryMs = RETRY_MS;
      this.heard.connected(true);
    };
    stream.onerror = () => this.lost(stream);
    on("lines", this.heard.lines);
    on("state", this.heard.state);
    on("gap", this.heard.gap);
    on("end", (data) => {
      this.close();
      this.heard.end(data);
    });
  }

  // The browser goes on by itself, with Last-Event-ID, after a lost connection; after an answer that is no stream we do.
  lost(stream) {
    if (this.closed) return;
    this.heard.connected(false);
    if (stream.readyState !== EventSource.CLOSED) return;
    this.timer = setTimeout(() => this.open(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MS_MOST);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.stream?.close();
  }

  // {lines, next, final}
  page(parameters) {
    return json(this.address(parameters));
  }

  // What the attempt says of itself: {state, started_at, log: {lines, gaps, …}, …}
  attempt(number) {
    return json(new URL(`../attempts/${number}/`, this.whole()));
  }

  // The address of the search over logs, beside the one of jobs.
  search(parameters) {
    return `${new URL("../../../logs/search/", this.whole())}?${asked(parameters)}`;
  }

  whole() {
    return new URL(this.url, window.location.href);
  }

  address(parameters) {
    return `${this.url}?${asked(parameters)}`;
  }
}

function asked(parameters) {
  return new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
}

async function json(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the log answered ${answer.status}`);
  return answer.json();
}

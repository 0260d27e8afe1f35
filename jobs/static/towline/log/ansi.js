// A line of output with ANSI colours, as stretches of text with a style each. Nothing here makes HTML of output.

import { AnsiUp } from "../vendor/ansi_up-6.0.6.js";

const STYLES = ["bold", "faint", "italic", "underline"];
const STATE = [...STYLES, "fg", "bg"];
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;
const SEQUENCE = /\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x20-\x2f]*[\x30-\x7e])/g;

// The vendored parser hands on each stretch of text with its style; we take that instead of its HTML.
class Parser extends AnsiUp {
  transform_to_html(stretch) {
    this.found.push({ ...stretch, text: visible(stretch.text) });
    return "";
  }

  process_hyperlink(packet) {
    return this.transform_to_html(this.with_state(packet));
  }

  parse(text, state) {
    this.found = [];
    for (const name of STATE) this[name] = state?.[name] ?? null;
    this.ansi_to_html(text);
    // What begins like a sequence and is none: its sign is dropped, and what follows is text.
    while (this._buffer) {
      const rest = this._buffer.slice(1);
      this._buffer = "";
      this.ansi_to_html(rest);
    }
    return this.found;
  }
}

const parser = new Parser();

// The stretches of a line whose colours begin as `state` (null: plain).
export function paint(text, state) {
  if (!state && !text.includes("\x1b")) return [{ text: visible(asSeen(text)) }];
  return parser.parse(asSeen(text), state);
}

// How colours stand at the end of it: they go on into the stream's next line, as in a terminal.
export function stateAfter(text, state) {
  if (!text.includes("\x1b")) return state;
  parser.parse(text, state);
  return STATE.some((name) => parser[name]) ? Object.fromEntries(STATE.map((name) => [name, parser[name]])) : null;
}

// Without any colours; in a time that grows with its length alone, whatever is in it.
export function plain(text) {
  return visible(asSeen(text).replace(SEQUENCE, ""));
}

export function nodeOf({ text, fg, bg, ...style }) {
  const classes = STYLES.filter((name) => style[name]).map((name) => `ansi-${name}`);
  if (!classes.length && !fg && !bg) return document.createTextNode(text);
  const span = document.createElement("span");
  span.textContent = text;
  span.classList.add(...classes);
  colour(span, fg, "fg", "color");
  colour(span, bg, "bg", "backgroundColor");
  return span;
}

// A carriage return starts the line anew: what a terminal would show in the end. The download has every byte.
function asSeen(text) {
  if (!text.includes("\r")) return text;
  const parts = text.replace(/\r+$/, "").split("\r");
  return parts[parts.length - 1];
}

// Control characters as their pictures: they can be seen, and do nothing.
function visible(text) {
  return text.replace(CONTROL, (sign) => (sign === "\x7f" ? "␡" : String.fromCharCode(0x2400 + sign.charCodeAt(0))));
}

function colour(span, wanted, suffix, property) {
  if (!wanted) return;
  if (wanted.class_name === "truecolor") span.style[property] = `rgb(${wanted.rgb.join(",")})`;
  else span.classList.add(`${wanted.class_name}-${suffix}`);
}

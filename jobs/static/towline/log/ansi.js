// A line of output with ANSI colours, as DOM nodes. Output only ever becomes text: no HTML is made from it.

import { AnsiUp } from "../vendor/ansi_up-6.0.6.js";

const STYLES = ["bold", "faint", "italic", "underline"];

export class Painter extends AnsiUp {
  // The vendored parser hands on each stretch of text with its style; instead of its HTML we make nodes.
  transform_to_html(stretch) {
    this.nodes.push(nodeOf(stretch));
    return "";
  }

  process_hyperlink(packet) {
    return this.transform_to_html(this.with_state(packet));
  }

  // The nodes of one line. Colours go on into the next line, as in a terminal.
  paint(text) {
    this.nodes = [];
    this.ansi_to_html(asSeen(text));
    // What looks like the beginning of a sequence and is none by the end of the line.
    this._buffer = "";
    return this.nodes;
  }
}

// A carriage return starts the line anew: what a terminal would show in the end. The download has every byte.
function asSeen(text) {
  const parts = text.replace(/\r+$/, "").split("\r");
  return parts[parts.length - 1];
}

function nodeOf({ text, fg, bg, ...style }) {
  const classes = STYLES.filter((name) => style[name]).map((name) => `ansi-${name}`);
  if (!classes.length && !fg && !bg) return document.createTextNode(text);
  const span = document.createElement("span");
  span.textContent = text;
  span.classList.add(...classes);
  colour(span, fg, "fg", "color");
  colour(span, bg, "bg", "backgroundColor");
  return span;
}

function colour(span, wanted, suffix, property) {
  if (!wanted) return;
  if (wanted.class_name === "truecolor") span.style[property] = `rgb(${wanted.rgb.join(",")})`;
  else span.classList.add(`${wanted.class_name}-${suffix}`);
}

// Marks in a line what was searched for. An expression that JavaScript reads otherwise than RE2 marks nothing.

export class Marker {
  constructor(text, regex, ignoreCase) {
    const source = regex ? text : text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
    try {
      this.pattern = new RegExp(source, ignoreCase ? "gi" : "g");
    } catch {
      this.pattern = null;
    }
  }

  // Text and <mark> nodes.
  marked(text) {
    const nodes = [];
    let end = 0;
    for (const match of this.pattern ? text.matchAll(this.pattern) : []) {
      if (!match[0]) continue;
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      nodes.push(text.slice(end, match.index), mark);
      end = match.index + match[0].length;
    }
    return [...nodes, text.slice(end)];
  }
}

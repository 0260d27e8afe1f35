// The scroll bar's range, and how it stands for a log of any length. Browsers cap the height of an element (Firefox at 17
// million pixels): both ends of a longer log are to scale, its middle is squeezed. So the first and the last hundred
// thousand lines scroll as if all were there, and the thumb reaches the rest.

const MOST = 8_000_000; // pixels
const END = 2_000_000; // of them to scale, at either end

export class Scale {
  // So many rows of so many pixels each.
  constructor(rows, rowHeight) {
    this.whole = rows * rowHeight;
    this.height = Math.min(this.whole, MOST);
    this.squeezed = (this.whole - 2 * END) / (MOST - 2 * END); // of the middle
  }

  // From pixels in the log, were all of it laid out, to pixels on the scroll bar.
  toBar(place) {
    if (this.whole <= MOST || place <= END) return place;
    if (place >= this.whole - END) return MOST - (this.whole - place);
    return END + (place - END) / this.squeezed;
  }

  toLog(bar) {
    if (this.whole <= MOST || bar <= END) return bar;
    if (bar >= MOST - END) return this.whole - (MOST - bar);
    return END + (bar - END) * this.squeezed;
  }
}

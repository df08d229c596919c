// The picture: the original and what came back, one over the other, with a divider between them.

import { Pane } from "./pane.js";

const STRIDE = 2; // percent that a key moves the divider
const CRISP = 4; // from so many times its size on, an image's pixels are shown as they are

export class Compare {
  original = null; // a bitmap; null where the browser cannot show it, or there is none
  picture = null; // the canvas that holds the reconstruction
  veil = null;
  outline = null;

  constructor(element, viewport) {
    this.element = element;
    this.split = element.querySelector("input");
    this.pane = new Pane(element, viewport, (context, placement) => this.#draw(context, placement));
    this.split.addEventListener("input", () => this.#divide());
    this.split.addEventListener("keydown", (event) => this.#key(event));
  }

  /** factor: pixels a side of a cell. */
  show({ original, picture, factor }) {
    Object.assign(this, { original, picture, factor, veil: null, outline: null });
    this.element.classList.toggle("single", original === null);
    this.split.disabled = original === null;
    this.split.value = 50;
    const both = "The original left of the divider, the reconstruction right of it";
    this.pane.canvas.setAttribute("aria-label", original ? both : "The picture of the codes");
    this.#divide();
  }

  /** Outline a rectangle of cells, or nothing. */
  point(outline) {
    this.outline = outline;
    this.pane.invalidate();
  }

  /** Lay a veil over the picture: a canvas with a pixel for each cell; null for none. */
  lay(veil) {
    this.veil = veil;
    this.pane.invalidate();
  }

  #key(event) {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!way || event.altKey || event.ctrlKey || event.metaKey) {
      this.pane.zoomKey(event);
      return;
    }
    event.preventDefault(); // a step of the range, which makes a drag smooth, is too small for a key
    this.split.value = this.split.valueAsNumber + way * STRIDE;
    this.#divide();
  }

  #divide() {
    this.element.style.setProperty("--split", `${this.split.value}%`);
    this.split.setAttribute("aria-valuetext", `${Math.round(this.split.value)}% original`);
    this.pane.invalidate();
  }

  #draw(context, { scale, left, top }) {
    if (!this.picture) return;
    const { width, height } = this.picture;
    context.imageSmoothingEnabled = scale < CRISP;
    context.imageSmoothingQuality = "high";
    context.save();
    context.beginPath();
    context.rect(left, top, width * scale, height * scale);
    context.clip();
    context.fillStyle = "white"; // behind what is transparent, as the service has it
    if (this.original) {
      context.fillRect(left, top, width * scale, height * scale);
      context.drawImage(this.original, left, top, width * scale, height * scale);
      const divider = (this.pane.size.width * this.split.value) / 100;
      context.beginPath();
      context.rect(divider, 0, this.pane.size.width, this.pane.size.height);
      context.clip();
    }
    context.drawImage(this.picture, left, top, width * scale, height * scale);
    context.restore();
    this.#annotate(context, scale, left, top);
  }

  #annotate(context, scale, left, top) {
    const side = this.factor * scale;
    context.save();
    context.beginPath();
    context.rect(left, top, this.picture.width * scale, this.picture.height * scale);
    context.clip();
    if (this.veil) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.veil, left, top, this.veil.width * side, this.veil.height * side);
    }
    context.restore();
    if (this.outline) {
      const { top: row, left: column, bottom, right } = this.outline;
      ring(context, left + column * side, top + row * side, (right - column) * side, (bottom - row) * side);
    }
  }
}

/** An outline that is seen on anything: light between dark. */
export const ring = (context, x, y, width, height) => {
  for (const [colour, line] of [["black", 4], ["white", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
  }
};

// The code grid as a picture: a colour for each code, or what each code stands for alone.

import { colourOf } from "./colours.js";
import { ring } from "./compare.js";
import { Mosaic } from "./mosaic.js";

const LINES_FROM = 10; // pixels a side from which cells are parted by lines
const NUMBERS_FROM = 34; // and from which they show their numbers
const VEIL = [0, 0, 0, 165]; // over the cells that do not have the code that is looked for

export class Grid extends Mosaic {
  codes = null;
  atlas = null; // where cells are to be shown as patches
  sought = null; // the code of which every place is to be seen
  selection = null; // a rectangle
  outline = null; // a rectangle: where the pointer is, or where a selection would go
  veil = null;

  #colours = document.createElement("canvas"); // a pixel for each cell
  #patches = null; // f x f pixels for each cell

  constructor(element, viewport) {
    super(element, viewport, (context, placement) => this.#draw(context, placement));
  }

  show(codes) {
    Object.assign(this, { codes, atlas: null, sought: null, selection: null, outline: null, veil: null });
    this.#colours.width = codes.columns;
    this.#colours.height = codes.rows;
    this.#patches = null;
    this.setSize(codes.rows, codes.columns, codes.space.factor);
    this.element.setAttribute("aria-label", `Code grid of ${codes.rows} rows and ${codes.columns} columns`);
    this.update(codes.values.keys());
  }

  /** Some codes are others now. */
  update(indices) {
    const context = this.#colours.getContext("2d", { willReadFrequently: true });
    const { width, height } = this.#colours;
    const image = context.getImageData(0, 0, width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const patched = this.#patches?.getContext("2d");
    for (const index of indices) {
      const [red, green, blue] = colourOf(this.codes.values[index]);
      pixels[index] = (255 << 24) | (blue << 16) | (green << 8) | red;
      if (patched) this.#patch(patched, index);
    }
    context.putImageData(image, 0, 0);
    this.seek(this.sought);
  }

  /** Show cells as patches of an atlas, or as colours where it is null. */
  showAs(atlas) {
    this.atlas = atlas;
    this.#patches = null;
    this.pane.invalidate();
  }

  /** Outline a rectangle of cells, or nothing. */
  point(outline) {
    this.outline = outline;
    this.pane.invalidate();
  }

  /** Dim all cells that do not have this code; null for none. */
  seek(code) {
    this.sought = code;
    this.veil = code === null ? null : this.#veilOver((each) => each !== code);
    this.pane.invalidate();
  }

  #veilOver(isDimmed) {
    const { rows, columns, values } = this.codes;
    const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
    const image = new ImageData(columns, rows);
    values.forEach((code, index) => {
      if (isDimmed(code)) image.data.set(VEIL, 4 * index);
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  #patch(context, index) {
    const f = this.codes.space.factor;
    const { row, column } = this.codes.cellOf(index);
    this.atlas.draw(context, this.codes.values[index], column * f, row * f, f);
  }

  #allPatches() {
    const f = this.codes.space.factor;
    const size = { width: this.codes.columns * f, height: this.codes.rows * f };
    this.#patches = Object.assign(document.createElement("canvas"), size);
    const context = this.#patches.getContext("2d");
    for (const index of this.codes.values.keys()) this.#patch(context, index);
  }

  #draw(context, { scale, left, top }) {
    if (!this.codes) return;
    const { rows, columns } = this.codes;
    const side = this.cell * scale;
    if (this.atlas && !this.#patches) this.#allPatches();
    const shown = this.atlas ? this.#patches : this.#colours;
    context.imageSmoothingEnabled = this.atlas ? scale < 1 : side < 1;
    context.drawImage(shown, left, top, columns * side, rows * side);
    if (side >= LINES_FROM && !this.atlas) this.#lines(context, side, left, top);
    if (side >= NUMBERS_FROM && !this.atlas) this.#numbers(context, side, left, top);
    if (this.veil) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.veil, left, top, columns * side, rows * side);
    }
    if (this.selection) {
      context.setLineDash([4, 3]);
      ring(context, ...this.boxOf(this.selection));
      context.setLineDash([]);
    }
    if (this.outline) ring(context, ...this.boxOf(this.outline));
  }

  /** Rows and columns that are in view. */
  #inView(side, left, top) {
    const { width, height } = this.pane.size;
    const from = (start) => Math.max(0, Math.floor(-start / side));
    const to = (start, length, count) => Math.min(count, Math.ceil((length - start) / side));
    return {
      top: from(top),
      left: from(left),
      bottom: to(top, height, this.rows),
      right: to(left, width, this.columns),
    };
  }

  #lines(context, side, left, top) {
    const view = this.#inView(side, left, top);
    context.fillStyle = getComputedStyle(this.pane.canvas).color;
    for (let row = view.top; row <= view.bottom; row += 1) {
      context.fillRect(left + view.left * side, top + row * side - 0.5, (view.right - view.left) * side, 1);
    }
    for (let column = view.left; column <= view.right; column += 1) {
      context.fillRect(left + column * side - 0.5, top + view.top * side, 1, (view.bottom - view.top) * side);
    }
  }

  #numbers(context, side, left, top) {
    const view = this.#inView(side, left, top);
    context.font = `${Math.min(13, side / 3.2)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let row = view.top; row < view.bottom; row += 1) {
      for (let column = view.left; column < view.right; column += 1) {
        const code = this.codes.at({ row, column });
        const [red, green, blue] = colourOf(code);
        context.fillStyle = 0.3 * red + 0.6 * green + 0.1 * blue > 128 ? "black" : "white";
        context.fillText(code, left + (column + 0.5) * side, top + (row + 0.5) * side);
      }
    }
  }
}

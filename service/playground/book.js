// The codebook as a picture: each code decoded alone, like beside like.

import { ring } from "./compare.js";
import { Mosaic } from "./mosaic.js";

export class Book extends Mosaic {
  atlas = null;
  order = null; // order[place] is the code there
  chosen = null; // a code
  counts = null; // how often each code occurs, where those that do not are to be dimmed

  #places = null; // places[code]
  #sheet = null; // all patches in their order

  constructor(element, viewport) {
    super(element, viewport, (context, placement) => this.#draw(context, placement));
    this.describe = (cell) => this.#describe(cell);
    this.onChoose = () => {}; // (code)
    this.pane.onRelease = (point, isClick) => {
      const cell = isClick && this.order ? this.cellAt(point) : null;
      if (cell && this.#codeAt(cell) !== null) this.onChoose(this.#codeAt(cell));
    };
    this.onAct = (cell) => this.#codeAt(cell) !== null && this.onChoose(this.#codeAt(cell));
  }

  async show(atlas) {
    if (this.atlas === atlas) return;
    this.atlas = atlas;
    const { codebookSize: num, columns, factor } = atlas;
    const order = await this.#sorted({ features: atlas.features(), num, columns });
    if (this.atlas !== atlas) return; // another one was asked for meanwhile
    this.order = order;
    this.#places = new Uint32Array(num);
    order.forEach((code, place) => (this.#places[code] = place));
    const rows = Math.ceil(num / columns);
    this.#sheet = Object.assign(document.createElement("canvas"), { width: columns * factor, height: rows * factor });
    const context = this.#sheet.getContext("2d");
    order.forEach((code, place) => {
      atlas.draw(context, code, (place % columns) * factor, Math.floor(place / columns) * factor, factor);
    });
    this.viewport.setImage(columns * factor, rows * factor, columns / 4);
    this.setSize(rows, columns, factor);
    this.pane.invalidate();
  }

  /** Mark a code; null for none. */
  choose(code) {
    this.chosen = code;
    this.pane.invalidate();
  }

  /** Go to where a code is. */
  find(code) {
    const place = this.#places[code];
    this.go({ row: Math.floor(place / this.columns), column: place % this.columns });
  }

  /** Dim the codes that do not occur; null dims none. */
  only(counts) {
    this.counts = counts;
    this.pane.invalidate();
  }

  /** A pixel for each cell, paper over those whose code does not occur. */
  #veil() {
    const size = { width: this.columns, height: this.rows };
    const canvas = Object.assign(document.createElement("canvas"), size);
    const context = canvas.getContext("2d");
    context.fillStyle = getComputedStyle(this.pane.canvas).color;
    context.globalAlpha = 0.85;
    this.order.forEach((code, place) => {
      if (!this.counts[code]) context.fillRect(place % this.columns, Math.floor(place / this.columns), 1, 1);
    });
    return canvas;
  }

  #sorted(things) {
    const worker = new Worker(new URL("likeness.js", import.meta.url), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = reject;
      worker.postMessage(things);
    }).finally(() => worker.terminate());
  }

  #codeAt({ row, column }) {
    return this.order?.[row * this.columns + column] ?? null;
  }

  #describe(cell) {
    const code = this.#codeAt(cell);
    return code === null ? "nothing" : `code ${code}`;
  }

  #draw(context, { scale, left, top }) {
    if (!this.#sheet) return;
    context.imageSmoothingEnabled = scale < 1;
    context.drawImage(this.#sheet, left, top, this.#sheet.width * scale, this.#sheet.height * scale);
    if (this.counts) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.#veil(), left, top, this.#sheet.width * scale, this.#sheet.height * scale);
    }
    if (this.chosen !== null) {
      const place = this.#places[this.chosen];
      const [row, column] = [Math.floor(place / this.columns), place % this.columns];
      ring(context, ...this.boxOf({ top: row, left: column, bottom: row + 1, right: column + 1 }));
    }
  }
}

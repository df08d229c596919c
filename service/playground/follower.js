// Keeps a picture in step with its codes: decodes what changed, with as much around it as that depends on.
//
// The pixels of a cell depend on codes up to `halo` cells away. So a change reaches cells up to `halo` away, and to
// get those exactly a window with `halo` more is decoded, of which the middle is taken. Where the grid ends the
// window ends: there the network pads both alike. One request is in flight at a time; what changes meanwhile is
// decoded next, together.

import { grown } from "./codes.js";

const SPAN = 48; // cells: changes that lie further apart are decoded one after another
const PATIENCE = 5; // times that a busy service is asked again

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

export class Follower {
  #changed; // 1 for each cell that the picture does not show yet
  #numChanged = 0;
  #isRunning = false;
  #isStopped = false;

  /** decode(codes) -> bitmap; onDrawn(ms, isUpToDate); onProblem(problem). */
  constructor({ codes, picture, halo, decode, onDrawn, onProblem }) {
    Object.assign(this, { codes, picture, halo, decode, onDrawn, onProblem });
    this.#changed = new Uint8Array(codes.values.length);
  }

  /** Some codes are others now. */
  follow(indices) {
    for (const index of indices) this.#mark(index);
    this.#run();
  }

  /** Decode everything again: with another decoder, perhaps. */
  refresh() {
    this.follow(this.codes.values.keys());
  }

  /** Nobody looks at this picture any more. */
  stop() {
    this.#isStopped = true;
  }

  get isUpToDate() {
    return this.#numChanged === 0 && !this.#isRunning;
  }

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#numChanged && !this.#isStopped) await this.#decode(this.#take());
    } catch (problem) {
      if (!this.#isStopped) this.onProblem(problem);
    } finally {
      this.#isRunning = false;
    }
  }

  async #decode({ rect, indices }) {
    const began = performance.now();
    const core = grown(rect, this.halo, this.codes);
    const window = grown(core, this.halo, this.codes);
    const wanted = this.codes.window(window);
    try {
      const bitmap = await this.#patiently(() => this.decode(wanted));
      if (this.#isStopped) return;
      const f = this.codes.space.factor;
      const [width, height] = [(core.right - core.left) * f, (core.bottom - core.top) * f];
      const [x, y] = [(core.left - window.left) * f, (core.top - window.top) * f];
      const context = this.picture.getContext("2d");
      context.drawImage(bitmap, x, y, width, height, core.left * f, core.top * f, width, height);
      bitmap.close();
    } catch (problem) {
      for (const index of indices) this.#mark(index); // so that it is tried again with the next change
      throw problem;
    }
    this.onDrawn(performance.now() - began, this.#numChanged === 0);
  }

  async #patiently(ask) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask();
      } catch (problem) {
        if (![429, 503].includes(problem.status) || attempt === PATIENCE || this.#isStopped) throw problem;
        await pause(Math.min(problem.retryAfterS ?? 1, 10));
      }
    }
  }

  /** Changed cells that fit in one window, unmarked, and the rectangle around them. */
  #take() {
    let rect = { top: 0, left: 0, bottom: this.codes.rows, right: this.codes.columns };
    let indices = this.#within(rect);
    for (;;) {
      rect = this.#around(indices);
      const [rows, columns] = [rect.bottom - rect.top, rect.right - rect.left];
      if (rows <= SPAN && columns <= SPAN) break;
      if (rows > SPAN) rect.bottom = rect.top + SPAN;
      else rect.right = rect.left + SPAN;
      indices = this.#within(rect, indices);
    }
    for (const index of indices) this.#changed[index] = 0;
    this.#numChanged -= indices.length;
    return { rect, indices };
  }

  #within(rect, among = this.codes.values.keys()) {
    const indices = [];
    for (const index of among) {
      if (!this.#changed[index]) continue;
      const { row, column } = this.codes.cellOf(index);
      if (row >= rect.top && row < rect.bottom && column >= rect.left && column < rect.right) indices.push(index);
    }
    return indices;
  }

  #around(indices) {
    const rect = { top: Infinity, left: Infinity, bottom: 0, right: 0 };
    for (const index of indices) {
      const { row, column } = this.codes.cellOf(index);
      rect.top = Math.min(rect.top, row);
      rect.left = Math.min(rect.left, column);
      rect.bottom = Math.max(rect.bottom, row + 1);
      rect.right = Math.max(rect.right, column + 1);
    }
    return rect;
  }

  #mark(index) {
    this.#numChanged += 1 - this.#changed[index];
    this.#changed[index] = 1;
  }
}

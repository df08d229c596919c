// Edits of codes, each of which can be undone: a list of what every step changed, from what, to what.

export class Editor {
  #done = [];
  #undone = [];
  #step = null; // index -> code before; of the step that is being made

  /** onChange(indices): some codes are others now. */
  constructor(codes, onChange) {
    this.codes = codes;
    this.onChange = onChange;
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Put codes in cells, as part of a step that goes on until `commit` or `abandon`. */
  put(entries) {
    this.#step ??= new Map();
    const changed = [];
    for (const [index, code] of entries) {
      const before = this.codes.values[index];
      if (before === code) continue;
      if (!this.#step.has(index)) this.#step.set(index, before);
      this.codes.put(index, code);
      changed.push(index);
    }
    if (changed.length) this.onChange(changed);
  }

  /** End the step; returns how many cells it changed. */
  commit() {
    const step = [...(this.#step ?? [])]
      .map(([index, before]) => ({ index, before, after: this.codes.values[index] }))
      .filter(({ before, after }) => before !== after);
    this.#step = null;
    if (!step.length) return 0;
    this.#done.push(step);
    this.#undone = [];
    this.onChange([]);
    return step.length;
  }

  /** Take the step back that is being made, as if it had never begun. */
  abandon() {
    const step = this.#step;
    this.#step = null;
    if (!step) return;
    for (const [index, before] of step) this.codes.put(index, before);
    this.onChange([...step.keys()]);
  }

  undo() {
    this.commit();
    return this.#replay(this.#done, this.#undone, "before");
  }

  redo() {
    return this.#replay(this.#undone, this.#done, "after");
  }

  #replay(from, to, which) {
    const step = from.pop();
    if (!step) return 0;
    for (const change of step) this.codes.put(change.index, change[which]);
    to.push(step);
    this.onChange(step.map(({ index }) => index));
    return step.length;
  }
}

/** What to put where so that all cells of code a have b, and the other way round. */
export function* swapped(codes, a, b) {
  for (let index = 0; index < codes.values.length; index += 1) {
    if (codes.values[index] === a) yield [index, b];
    else if (codes.values[index] === b) yield [index, a];
  }
}

/** What to put where so that a rectangle comes to lie so many cells lower and further right; what falls outside
 *  the grid is gone, and cells that are left take the code `fill`, or stay as they are where it is null. */
export function moved(codes, rect, { rows, columns }, fill) {
  const entries = new Map();
  for (let row = rect.top; row < rect.bottom; row += 1) {
    for (let column = rect.left; column < rect.right; column += 1) {
      if (fill !== null) entries.set(codes.indexOf({ row, column }), fill);
    }
  }
  for (let row = rect.top; row < rect.bottom; row += 1) {
    for (let column = rect.left; column < rect.right; column += 1) {
      const to = { row: row + rows, column: column + columns };
      if (to.row < 0 || to.row >= codes.rows || to.column < 0 || to.column >= codes.columns) continue;
      entries.set(codes.indexOf(to), codes.at({ row, column }));
    }
  }
  return entries;
}

/** The cells on the line between two, both included. */
export function* line(from, to) {
  const [rows, columns] = [Math.abs(to.row - from.row), Math.abs(to.column - from.column)];
  const steps = Math.max(rows, columns, 1);
  for (let i = 0; i <= steps; i += 1) {
    yield {
      row: Math.round(from.row + ((to.row - from.row) * i) / steps),
      column: Math.round(from.column + ((to.column - from.column) * i) / steps),
    };
  }
}

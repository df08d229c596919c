// The codes of one image: numbers in a grid, and the code space that gives them their meaning.

/** A rectangle of cells: rows top to bottom - 1, columns left to right - 1. */
export const area = ({ top, left, bottom, right }) => (bottom - top) * (right - left);

/** The rectangle with `by` more cells on every side, as far as the grid goes. */
export const grown = (rect, by, { rows, columns }) => ({
  top: Math.max(0, rect.top - by),
  left: Math.max(0, rect.left - by),
  bottom: Math.min(rows, rect.bottom + by),
  right: Math.min(columns, rect.right + by),
});

/** The rectangle that two cells span. */
export const spanned = (a, b) => ({
  top: Math.min(a.row, b.row),
  left: Math.min(a.column, b.column),
  bottom: Math.max(a.row, b.row) + 1,
  right: Math.max(a.column, b.column) + 1,
});

export const holds = (rect, { row, column }) =>
  row >= rect.top && row < rect.bottom && column >= rect.left && column < rect.right;

export class Codes {
  /** space: { model, fingerprint, codebookSize, factor }; width and height: the image's true size in pixels. */
  constructor({ values, width, height, space }) {
    this.values = values; // Uint32Array, row by row
    this.width = width;
    this.height = height;
    this.space = space;
    this.rows = Math.ceil(height / space.factor);
    this.columns = Math.ceil(width / space.factor);
    if (values.length !== this.rows * this.columns) {
      throw new Error(`${values.length} codes do not fill a grid of ${this.rows} rows and ${this.columns} columns`);
    }
    this.counts = new Uint32Array(space.codebookSize); // how often each code occurs
    for (const code of values) this.counts[code] += 1;
  }

  indexOf({ row, column }) {
    return row * this.columns + column;
  }

  cellOf(index) {
    return { row: Math.floor(index / this.columns), column: index % this.columns };
  }

  at(cell) {
    return this.values[this.indexOf(cell)];
  }

  put(index, code) {
    this.counts[this.values[index]] -= 1;
    this.counts[code] += 1;
    this.values[index] = code;
  }

  /** The codes of a rectangle, as an image of whole cells. */
  window(rect) {
    const columns = rect.right - rect.left;
    const values = new Uint32Array(area(rect));
    for (let row = rect.top; row < rect.bottom; row += 1) {
      const start = row * this.columns;
      values.set(this.values.subarray(start + rect.left, start + rect.right), (row - rect.top) * columns);
    }
    const { factor } = this.space;
    const [width, height] = [columns * factor, (rect.bottom - rect.top) * factor];
    return new Codes({ values, width, height, space: this.space });
  }
}

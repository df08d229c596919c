// A grid of cells on a pane, as the keyboard and a screen reader know it: one cell at a time is there for them.
//
// A grid may have a quarter of a million cells, so they are painted; the one at the cursor is an element besides,
// as it is in any grid of which not all rows are in the document (WAI-ARIA, aria-rowindex and aria-colindex).

import { Pane } from "./pane.js";

export class Mosaic {
  cursor = { row: 0, column: 0 };
  rows = 0;
  columns = 0;

  /** draw(context, placement) paints the cells. */
  constructor(element, viewport, draw) {
    this.element = element;
    this.viewport = viewport;
    this.describe = () => ""; // a cell in words
    this.onMove = () => {}; // (cell, event): the cursor went there by key
    this.onAct = () => {}; // (cell): Enter or the space bar
    this.onEscape = () => {};
    this.pane = new Pane(element, viewport, (context, placement) => {
      draw(context, placement);
      this.#place();
    });
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("focus", () => this.#show());
  }

  #row = null; // the element of the cell at the cursor, in its row

  /** cell: pixels a side of a cell, in the viewport's image. */
  setSize(rows, columns, cell) {
    Object.assign(this, { rows, columns, cell, cursor: { row: 0, column: 0 } });
    this.element.setAttribute("aria-rowcount", rows);
    this.element.setAttribute("aria-colcount", columns);
    this.#show();
  }

  /** The cell at a point of the pane, or null where none is; with `nearest`, the one that is nearest. */
  cellAt(point, nearest = false) {
    return this.cellUnder(this.pane.toImage(point), nearest);
  }

  /** The same for a point of the viewport's image. */
  cellUnder({ x, y }, nearest = false) {
    const [row, column] = [Math.floor(y / this.cell), Math.floor(x / this.cell)];
    const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);
    const cell = { row: clamp(row, this.rows), column: clamp(column, this.columns) };
    return nearest || (cell.row === row && cell.column === column) ? cell : null;
  }

  /** Where a rectangle of cells lies on the pane: [x, y, width, height]. */
  boxOf({ top, left, bottom, right }) {
    const placement = this.pane.placement;
    const side = this.cell * placement.scale;
    return [
      placement.left + left * side,
      placement.top + top * side,
      (right - left) * side,
      (bottom - top) * side,
    ];
  }

  /** Put the cursor on a cell and see to it that it is in view. */
  go(cell) {
    this.cursor = cell;
    const { row, column } = cell;
    this.viewport.reveal({
      left: column * this.cell,
      top: row * this.cell,
      right: (column + 1) * this.cell,
      bottom: (row + 1) * this.cell,
    });
    this.#show();
    this.pane.invalidate();
  }

  #key(event) {
    if (this.pane.zoomKey(event)) return;
    const { row, column } = this.cursor;
    const [last, end] = [this.rows - 1, this.columns - 1];
    const all = event.ctrlKey || event.metaKey;
    const to = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      PageUp: [row - 8, column],
      PageDown: [row + 8, column],
      Home: [all ? 0 : row, 0],
      End: [all ? last : row, end],
    }[event.key];
    if (to) {
      const clamp = (value, most) => Math.min(Math.max(value, 0), most);
      this.go({ row: clamp(to[0], last), column: clamp(to[1], end) });
      this.onMove(this.cursor, event);
    } else if (event.key === "Enter" || event.key === " ") {
      this.onAct(this.cursor);
      this.#show();
    } else if (event.key === "Escape") {
      this.onEscape();
    } else {
      return;
    }
    event.preventDefault();
  }

  /** A new element each time, so that it is read out each time. */
  #show() {
    if (!this.rows) return;
    const { row, column } = this.cursor;
    this.#row?.remove();
    this.#row = document.createElement("div");
    this.#row.setAttribute("role", "row");
    this.#row.setAttribute("aria-rowindex", row + 1);
    const cell = document.createElement("div");
    cell.setAttribute("role", "gridcell");
    cell.setAttribute("aria-colindex", column + 1);
    cell.id = `${this.element.id}-cell-${row}-${column}`;
    cell.className = "cursor";
    cell.textContent = this.describe(this.cursor);
    this.#row.append(cell);
    this.element.append(this.#row);
    this.element.setAttribute("aria-activedescendant", cell.id);
    this.#place();
  }

  #place() {
    const cell = this.#row?.firstElementChild;
    if (!cell) return;
    const { row, column } = this.cursor;
    const [x, y, width, height] = this.boxOf({ top: row, left: column, bottom: row + 1, right: column + 1 });
    cell.style.transform = `translate(${x}px, ${y}px)`;
    cell.style.width = `${width}px`;
    cell.style.height = `${height}px`;
  }
}

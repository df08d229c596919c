// What a pointer and the keys do to the code grid, one class a tool: look, paint, move, swap.
//
// A tool is told of presses, drags and releases of a pointer in cells, of Enter (`act`), of the cursor going about
// by key (`move`) and of Escape (`escape`). `desk` is what all of them work on: codes, editor, grid, and the numbers
// in the fields beside it.

import { holds, spanned } from "./codes.js";
import { line, moved, swapped } from "./editor.js";

class Tool {
  constructor(desk) {
    this.desk = desk;
  }

  press() {}
  drag() {}
  release() {}
  act() {}
  move() {}
  escape() {}
}

class Look extends Tool {
  help = "Click a cell to see every place of its code, which is then the one to paint with. Again, or Escape: all.";

  release(cell, isClick) {
    if (isClick && cell) this.act(cell);
  }

  act(cell) {
    const code = this.desk.codes.at(cell);
    this.desk.brush = code;
    this.desk.seek(this.desk.grid.sought === code ? null : code);
  }

  escape() {
    this.desk.seek(null);
  }
}

class Paint extends Tool {
  help = "Drag over cells to paint them, or press Enter on one. Shift-click a cell to take up its code.";
  #last = null;

  press(cell, event) {
    if (event.shiftKey) this.desk.brush = this.desk.codes.at(cell);
    else this.#paint([(this.#last = cell)]);
  }

  drag(cell) {
    if (!this.#last) return;
    this.#paint(line(this.#last, cell));
    this.#last = cell;
  }

  release() {
    this.#last = null;
    this.desk.commit();
  }

  act(cell) {
    this.#paint([cell]);
    this.desk.commit();
  }

  escape() {
    this.#last = null;
    this.desk.editor.abandon();
  }

  #paint(cells) {
    const { codes, editor, brush } = this.desk;
    editor.put([...cells].map((cell) => [codes.indexOf(cell), brush]));
  }
}

class Move extends Tool {
  help =
    "Drag over cells to select them, then drag the selection. By key: Enter, arrows, Enter selects; arrows, Enter moves.";
  #corner = null; // where the selection began
  #from = null; // where it was taken up
  #by = { rows: 0, columns: 0 };

  press(cell) {
    const { selection } = this.desk.grid;
    if (selection && holds(selection, cell)) this.#from = cell;
    else this.#begin(cell);
  }

  drag(cell) {
    if (this.#from) this.#shift(cell.row - this.#from.row, cell.column - this.#from.column);
    else if (this.#corner) this.#select(cell);
  }

  release(_, isClick) {
    this.#corner = null;
    if (this.#from && !isClick) this.#drop();
    this.#from = null;
  }

  act(cell) {
    const { selection } = this.desk.grid;
    if (!selection) {
      this.#begin(cell);
    } else if (this.#corner) {
      this.#corner = null;
      this.#from = cell;
      this.desk.announce("Selected. Arrows move it, Enter puts it down.");
    } else {
      this.#from ??= cell;
      this.#drop();
      this.#from = null;
    }
  }

  move(cell) {
    if (this.#corner) this.#select(cell);
    else if (this.#from) this.#shift(cell.row - this.#from.row, cell.column - this.#from.column);
  }

  escape() {
    this.#corner = this.#from = null;
    this.#by = { rows: 0, columns: 0 };
    this.desk.mark({ selection: null, outline: null });
  }

  #begin(cell) {
    this.#corner = cell;
    this.#select(cell);
  }

  #select(cell) {
    this.desk.mark({ selection: spanned(this.#corner, cell), outline: null });
  }

  #shift(rows, columns) {
    this.#by = { rows, columns };
    this.desk.mark({ outline: shifted(this.desk.grid.selection, this.#by) });
  }

  #drop() {
    const { codes, editor, grid, brush, leavesCopy } = this.desk;
    editor.put(moved(codes, grid.selection, this.#by, leavesCopy ? null : brush));
    this.desk.commit();
    const { top, left, bottom, right } = shifted(grid.selection, this.#by);
    const selection = {
      top: Math.max(0, top),
      left: Math.max(0, left),
      bottom: Math.min(codes.rows, bottom),
      right: Math.min(codes.columns, right),
    };
    const isGone = selection.top >= selection.bottom || selection.left >= selection.right;
    this.desk.mark({ selection: isGone ? null : selection, outline: null });
    this.#by = { rows: 0, columns: 0 };
  }
}

class Swap extends Tool {
  help = "Click a cell of each code, or type two numbers: all cells of one take the other.";
  #isSecond = false;

  release(cell, isClick) {
    if (isClick && cell) this.act(cell);
  }

  act(cell) {
    this.desk.choose(this.#isSecond ? "b" : "a", this.desk.codes.at(cell));
    this.#isSecond = !this.#isSecond;
  }

  swap(a, b) {
    this.desk.editor.put([...swapped(this.desk.codes, a, b)]);
    this.desk.commit();
  }
}

const shifted = ({ top, left, bottom, right }, { rows, columns }) => ({
  top: top + rows,
  left: left + columns,
  bottom: bottom + rows,
  right: right + columns,
});

export const makeTools = (desk) => ({
  look: new Look(desk),
  paint: new Paint(desk),
  move: new Move(desk),
  swap: new Swap(desk),
});

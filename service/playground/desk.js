// What the tools work on, and the fields and buttons beside the code grid.

import { describe, times } from "./cell.js";
import { colourOf } from "./colours.js";
import { makeTools } from "./tools.js";

const by = (id) => document.getElementById(id);
const checked = (name) => document.querySelector(`[name=${name}]:checked`).value;
const TYPED = "input:not([type=radio], [type=range], [type=checkbox])"; // which undo by themselves

export class Desk {
  /** page.open is what is open; pointAt(cell) tells who shows it. */
  constructor(page, { grid, compare, news, pointAt }) {
    Object.assign(this, { page, grid, compare, news, pointAt });
    this.tools = makeTools(this);
    this.#wireGrid();
    this.#wireFields();
    this.#showTool();
  }

  get codes() {
    return this.page.open.codes;
  }

  get editor() {
    return this.page.open.editor;
  }

  get tool() {
    return this.tools[checked("tool")];
  }

  /** The code to paint with, and to leave behind. */
  get brush() {
    const code = by("brush").valueAsNumber;
    return Number.isInteger(code) && code >= 0 && code < this.codes.space.codebookSize ? code : 0;
  }

  set brush(code) {
    by("brush").value = code;
    this.#showSwatch();
  }

  get leavesCopy() {
    return by("leave").checked;
  }

  /** Other codes are open now. */
  reset() {
    const last = this.codes.space.codebookSize - 1;
    for (const id of ["brush", "swap-a", "swap-b"]) by(id).max = last;
    this.brush = Math.min(this.brush, last);
    this.tool.escape();
    this.showHistory();
  }

  /** Paint with a code from now on. */
  paintWith(code) {
    this.brush = code;
    document.querySelector("[name=tool][value=paint]").checked = true;
    this.#showTool();
    by("grid").focus();
  }

  choose(which, code) {
    by(`swap-${which}`).value = code;
    this.news.say(`Code ${code} is ${which === "a" ? "the first" : "the second"}.`);
  }

  mark(marks) {
    Object.assign(this.grid, marks);
    this.grid.pane.invalidate();
  }

  /** Let every place of a code be seen; null for all. */
  seek(code) {
    this.grid.seek(code);
    this.compare.lay(this.grid.veil);
    if (code !== null) this.news.say(`Code ${code} occurs ${times(this.codes.counts[code])} in this picture.`);
  }

  announce(text) {
    this.news.say(text);
  }

  commit() {
    const count = this.editor.commit();
    if (count) this.news.say(`${cells(count)} changed.`);
  }

  showHistory() {
    by("undo").disabled = !this.editor.canUndo;
    by("redo").disabled = !this.editor.canRedo;
  }

  #replay(which) {
    const count = this.page.open?.editor[which]() ?? 0;
    if (count) this.news.say(`${cells(count)} ${which === "undo" ? "as before" : "changed again"}.`);
  }

  #wireGrid() {
    const { grid } = this;
    const { pane } = grid;
    grid.describe = (cell) => describe(this.codes, cell);
    pane.pans = () => ["look", "swap"].includes(checked("tool"));
    pane.onHover = (point) => this.pointAt(point && grid.cellAt(point));
    pane.onPress = (point, event) => {
      const cell = grid.cellAt(point);
      if (cell) this.tool.press(cell, event);
    };
    pane.onDrag = (point) => this.tool.drag(grid.cellAt(point, true));
    pane.onRelease = (point, isClick) => {
      const cell = grid.cellAt(point);
      if (cell) grid.cursor = cell;
      this.tool.release(cell, isClick);
      if (cell) this.pointAt(cell);
    };
    pane.onCancel = () => this.tool.escape();
    grid.onMove = (cell) => {
      this.tool.move(cell);
      this.pointAt(cell);
    };
    grid.onAct = (cell) => this.tool.act(cell);
    grid.onEscape = () => this.tool.escape();
    grid.element.addEventListener("focus", () => this.pointAt(grid.cursor));
  }

  #wireFields() {
    by("tools").addEventListener("change", () => {
      for (const tool of Object.values(this.tools)) tool.escape();
      this.#showTool();
    });
    by("brush").addEventListener("input", () => this.#showSwatch());
    by("swap").addEventListener("submit", (event) => {
      event.preventDefault();
      this.tools.swap.swap(by("swap-a").valueAsNumber, by("swap-b").valueAsNumber);
    });
    by("undo").addEventListener("click", () => this.#replay("undo"));
    by("redo").addEventListener("click", () => this.#replay("redo"));
    addEventListener("keydown", (event) => {
      const key = event.key.toLowerCase();
      if (!(event.ctrlKey || event.metaKey) || event.altKey || !["y", "z"].includes(key)) return;
      if (event.target.matches(TYPED)) return;
      event.preventDefault();
      this.#replay(key === "y" || event.shiftKey ? "redo" : "undo");
    });
  }

  #showTool() {
    const name = checked("tool");
    for (const part of document.querySelectorAll("[data-of]")) {
      part.hidden = !part.dataset.of.split(" ").includes(name);
    }
    by("brush-label").textContent = name === "move" ? "Leave behind code" : "Paint with code";
    by("tool-help").textContent = this.tool.help;
    by("grid").dataset.tool = name;
  }

  #showSwatch() {
    by("brush-swatch").style.background = `rgb(${colourOf(this.brush).join(" ")})`;
  }
}

const cells = (count) => `${count.toLocaleString("en")} ${count === 1 ? "cell" : "cells"}`;

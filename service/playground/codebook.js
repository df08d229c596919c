// The part of the page about the codebook: it is fetched when it is opened, and codes are found, chosen and taken.

import { times } from "./cell.js";

const NONE = "Click a code, or go to one with the arrow keys and press Enter.";

const by = (id) => document.getElementById(id);

export class Codebook {
  /** page.open is what is open; atlasOf() resolves with its atlas, or null; onPaintWith(code). */
  constructor(page, { book, news, atlasOf, onPaintWith }) {
    Object.assign(this, { page, book, news, atlasOf });
    book.onChoose = (code) => this.#choose(code);
    by("codebook").addEventListener("toggle", () => this.show());
    by("find").addEventListener("input", () => this.#find(by("find").valueAsNumber));
    by("only-here").addEventListener("change", () => this.showCounts());
    by("paint-with").addEventListener("click", () => onPaintWith(book.chosen));
  }

  /** Show the codebook of what is open, if it is to be seen at all. */
  async show() {
    const { open } = this.page;
    if (!open) return;
    const { codebookSize } = open.codes.space;
    by("codebook-summary").textContent = `${codebookSize.toLocaleString("en")} codes, each alone`;
    by("find").max = codebookSize - 1;
    if (!by("codebook").open) return;
    const atlas = await this.atlasOf();
    if (!atlas || this.page.open !== open) return;
    const rows = Math.ceil(atlas.codebookSize / atlas.columns);
    by("book").style.setProperty("--wide", atlas.columns / rows);
    if (this.book.atlas !== atlas) this.#forget();
    await this.news.during("Sorting the codes", this.book.show(atlas));
    this.showCounts();
  }

  /** Dim what does not occur, if that is wanted. */
  showCounts() {
    this.book.only(by("only-here").checked ? this.page.open.codes.counts : null);
  }

  #find(code) {
    if (!this.book.order || !(Number.isInteger(code) && code >= 0 && code < this.book.order.length)) return;
    this.#choose(code);
    this.book.find(code);
  }

  #choose(code) {
    this.book.choose(code);
    by("find").value = code;
    by("found").textContent = `Code ${code}, ${times(this.page.open.codes.counts[code])} in this picture`;
    by("paint-with").disabled = false;
    const { canvas } = this.#patch;
    this.#patch.imageSmoothingEnabled = false;
    this.#patch.clearRect(0, 0, canvas.width, canvas.height);
    this.book.atlas.draw(this.#patch, code, 0, 0, canvas.width);
  }

  #forget() {
    this.book.choose(null);
    by("find").value = "";
    by("found").textContent = NONE;
    by("paint-with").disabled = true;
    this.#patch.clearRect(0, 0, this.#patch.canvas.width, this.#patch.canvas.height);
  }

  get #patch() {
    return by("found-patch").getContext("2d");
  }
}

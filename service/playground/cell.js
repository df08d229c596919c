// What is known of one cell: its code, where it is, how often the code occurs, and how it looks.

import { colourOf } from "./colours.js";

const SIDE = 64;
const by = (id) => document.getElementById(id);

const FEW = ["not", "once", "twice"];

export const times = (count) => FEW[count] ?? `${count.toLocaleString("en")} times`;

/** What the code grid says of a cell in words. */
export const describe = (codes, cell) => {
  const code = codes.at(cell);
  const where = `row ${cell.row + 1}, column ${cell.column + 1}`;
  return `code ${code}, ${where}, ${times(codes.counts[code])} in this picture`;
};

/** cell: null for none. */
export const showCell = ({ codes, original, picture, atlas }, cell) => {
  const code = cell && codes.at(cell);
  by("cell-code").textContent = cell ? code : "–";
  by("cell-where").textContent = cell
    ? `row ${cell.row + 1}, column ${cell.column + 1}, ${times(codes.counts[code])} in this picture`
    : "Point at a cell, or go to one with the arrow keys.";
  by("cell-code").style.setProperty("--code", cell ? `rgb(${colourOf(code).join(" ")})` : "transparent");
  by("patch-alone-item").hidden = !atlas;
  by("cell-patches").classList.toggle("empty", !cell);
  part(by("patch-original"), cell && original, codes, cell);
  part(by("patch-here"), cell && picture, codes, cell);
  const alone = by("patch-alone").getContext("2d");
  alone.clearRect(0, 0, SIDE, SIDE);
  alone.imageSmoothingEnabled = false;
  if (cell && atlas) atlas.draw(alone, code, 0, 0, SIDE);
};

const part = (canvas, image, codes, cell) => {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, SIDE, SIDE);
  if (!image) return;
  const f = codes.space.factor;
  context.imageSmoothingEnabled = false;
  context.drawImage(image, cell.column * f, cell.row * f, f, f, 0, 0, SIDE, SIDE);
};

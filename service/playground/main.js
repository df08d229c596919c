// The page as a whole: what is open, and who is told when it changes.

import { Api } from "./api.js";
import { Atlases } from "./atlas.js";
import { Book } from "./book.js";
import { showCell } from "./cell.js";
import { Choices, spaceOf } from "./choices.js";
import { Codebook } from "./codebook.js";
import { spanned } from "./codes.js";
import { Compare } from "./compare.js";
import { Desk } from "./desk.js";
import { Editor } from "./editor.js";
import { showFigures } from "./figures.js";
import { Follower } from "./follower.js";
import { codeFileBytes, MEDIA_TYPES } from "./formats.js";
import { Grid } from "./grid.js";
import { listen, sample } from "./intake.js";
import { askKey } from "./key.js";
import { News } from "./news.js";
import { kindOfFile, openCodes, openImage } from "./opening.js";
import { copy, download, stem } from "./save.js";
import { lines } from "./snippets.js";
import { Viewport } from "./viewport.js";

const ZOOM = { in: 1.5, out: 1 / 1.5 }; // by a button

const by = (id) => document.getElementById(id);

const page = { open: null }; // see opening.js; besides: picture (a canvas), editor, follower, atlas, pointed (a cell)
const news = new News();
const api = new Api(askKey);
const atlases = new Atlases(api);
const views = { zoom: new Viewport(), book: new Viewport() }; // by their buttons' prefix
const compare = new Compare(by("picture"), views.zoom);
const grid = new Grid(by("grid"), views.zoom);
const book = new Book(by("book"), views.book);
const choices = new Choices({ onModel: changeModel, onDecoder: changeDecoder });
const desk = new Desk(page, { grid, compare, news, pointAt });
const codebook = new Codebook(page, { book, news, atlasOf, onPaintWith: (code) => desk.paintWith(code) });

// ---- opening

let opening = null;
let models = null; // a promise

/** Open an image or a file of codes, or what a promise brings; what is open stays so until then, or if it fails. */
async function openFile(promised) {
  opening?.abort();
  opening = new AbortController();
  const { signal } = opening;
  news.clear();
  try {
    await models;
    const file = await promised;
    const kind = await kindOfFile(file);
    const context = { api, choices, signal };
    const asked = kind ? openCodes(file, kind, context) : openImage(file, context);
    const opened = await news.during(`${kind ? "Decoding" : "Encoding"} ${file.name}`, asked);
    if (!signal.aborted) show(opened);
  } catch (problem) {
    if (signal.aborted) return;
    news.say("");
    news.complain(problem);
  }
}

function show({ bitmap, ...opened }) {
  page.open?.follower.stop();
  page.open?.original?.close();
  const { codes, model } = opened;
  const picture = Object.assign(document.createElement("canvas"), { width: codes.width, height: codes.height });
  picture.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  const follower = new Follower({
    codes,
    picture,
    halo: model.decoder_halo,
    decode: (window) => api.decode(window, { decoder: choices.decoderOf(model) }),
    onDrawn: showDrawn,
    onProblem: (problem) => news.complain(problem, () => follower.follow([])),
  });
  page.open = { ...opened, picture, follower, editor: new Editor(codes, follow), atlas: null, pointed: null };
  for (const id of ["stage", "keep", "lines", "codebook"]) by(id).hidden = false;
  by("stage").dataset.behind = false;
  by("stage").style.setProperty("--wide", codes.width / codes.height);
  views.zoom.setImage(codes.width, codes.height, Math.min(codes.rows, codes.columns) / 3);
  choices.choose(model);
  compare.show({ original: opened.original, picture, factor: codes.space.factor });
  grid.show(codes);
  desk.reset();
  showPointed();
  describeOpen();
  showCellsAs();
  codebook.show();
}

function changeModel() {
  const { open } = page;
  if (!open || ["image", "npy"].includes(open.kind)) {
    choices.choose(choices.model);
    if (open) openFile(open.source);
    return;
  }
  choices.choose(open.model);
  news.say(`These codes are of ${open.model.name}; no other model decodes them.`);
}

async function changeDecoder() {
  const { open } = page;
  open.follower.refresh();
  by("stage").dataset.behind = true;
  showLines();
  showCellsAs();
  codebook.show();
  if (open.kind !== "image") return;
  const decoder = choices.decoderOf(open.model);
  try {
    const measured = await news.during("Measuring", api.reconstruct(open.source, { model: open.model.name, decoder }));
    measured.bitmap.close();
    if (page.open !== open || choices.decoderOf(open.model) !== decoder) return;
    open.measured = measured;
    describeOpen();
  } catch (problem) {
    news.complain(problem);
  }
}

// ---- telling

function describeOpen() {
  const { codes, source, kind, measured, original } = page.open;
  const { codebookSize } = codes.space;
  showFigures({
    psnr: measured?.psnr,
    ssim: measured?.ssim,
    uploadBytes: source.size,
    codesBytes: codeFileBytes(codes),
    bitsPerPixel: (codes.values.length * Math.log2(codebookSize)) / (codes.width * codes.height),
  });
  by("caption-left").textContent = original ? "Original" : "";
  by("caption-right").textContent = kind === "image" ? "Reconstruction" : `Decoded from ${source.name}`;
  by("unshowable").hidden = kind !== "image" || original !== null;
  by("unshowable").textContent = `This browser does not show ${source.type || "such files"} as the service reads them; what is here is the reconstruction.`;
  by("grid-size").textContent = `${codes.columns} × ${codes.rows} codes of ${codebookSize.toLocaleString("en")}`;
  showNote();
  const psnr = measured?.psnr ? `, PSNR ${measured.psnr.toFixed(2)} dB` : "";
  const first = page.open.numItems > 1 ? `, the first of ${page.open.numItems}` : "";
  news.say(`${source.name}${first}: ${codes.width} × ${codes.height} pixels, ${codes.columns} × ${codes.rows} codes${psnr}.`);
  showLines();
}

function showNote() {
  const { measured, editor } = page.open;
  by("figures-note").textContent =
    measured && editor.canUndo ? "PSNR and SSIM are of the codes before they were edited." : "";
}

function showLines() {
  const { source, kind, model, codes, editor } = page.open;
  const isEdited = editor.canUndo; // then what there is to decode is the file to be kept
  const type = kind === "image" ? source.type || "application/octet-stream" : MEDIA_TYPES[kind];
  const decoder = choices.decoderOf(model);
  const text = lines({
    ...(isEdited ? { kind: "vqc", name: `${stem(source.name)}.vqc`, type: MEDIA_TYPES.vqc } : { kind, name: source.name, type }),
    model: model.default ? null : model.name,
    decoder: decoder === model.decoder ? null : decoder,
    space: codes.space,
    hasKey: api.hasKey,
  });
  by("curl").textContent = text.curl;
  by("python").textContent = text.python;
  by("lines-note").textContent = isEdited ? "With the edited codes, kept as a code file." : "";
}

function pointAt(cell) {
  const outline = cell && spanned(cell, cell);
  grid.point(outline);
  compare.point(outline);
  if (!cell) return; // what is known of the last one stays, to be read
  page.open.pointed = cell;
  showPointed();
}

function showPointed() {
  showCell(page.open, page.open.pointed);
}

// ---- editing

function follow(indices) {
  const { open } = page;
  grid.update(indices);
  compare.lay(grid.veil);
  open.follower.follow(indices);
  by("stage").dataset.behind = !open.follower.isUpToDate; // for who waits: tests
  desk.showHistory();
  showPointed();
  showLines();
  if (book.atlas) codebook.showCounts();
}

function showDrawn(ms, isUpToDate) {
  compare.pane.invalidate();
  showPointed();
  news.clear();
  showNote();
  by("stage").dataset.behind = !isUpToDate;
  by("stage").dataset.windowMs = Math.round(ms);
}

// ---- each code alone

/** The atlas of what is open, or null after saying why not. */
async function atlasOf() {
  const { open } = page;
  try {
    const asked = atlases.get(spaceOf(open.model), choices.decoderOf(open.model));
    const atlas = await news.during("Decoding each code alone", asked);
    if (page.open !== open) return null;
    open.atlas = atlas;
    showPointed();
    return atlas;
  } catch (problem) {
    news.complain(problem);
    return null;
  }
}

async function showCellsAs() {
  const isAsPatches = document.querySelector("[name=cells-as]:checked").value === "patches";
  grid.showAs(isAsPatches ? await atlasOf() : null);
}

// ---- buttons

function wireButtons() {
  for (const [prefix, view] of Object.entries(views)) {
    for (const [way, factor] of Object.entries(ZOOM)) {
      by(`${prefix}-${way}`).addEventListener("click", () => view.zoomBy(factor));
    }
    by(`${prefix}-fit`).addEventListener("click", () => view.fit());
    view.addEventListener("change", () => {
      by(`${prefix}-out`).disabled = by(`${prefix}-fit`).disabled = view.zoom === 1;
      by(`${prefix}-in`).disabled = view.zoom === view.nearest;
    });
  }
  by("cells-as").addEventListener("change", showCellsAs);
  for (const button of document.querySelectorAll("[data-download]")) {
    button.addEventListener("click", () => download(button.dataset.download, page.open));
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const isCopied = await copy(by(button.dataset.copy));
      news.say(isCopied ? "Copied." : "Selected; Ctrl+C or ⌘C copies it.");
    });
  }
  compare.pane.onHover = (point) => pointAt(point && page.open && grid.cellUnder(compare.pane.toImage(point)));
  document.documentElement.addEventListener("themechange", () => {
    for (const { pane } of [compare, grid, book]) pane.invalidate();
  });
}

async function start() {
  models = news.during("Asking for the models", api.models()).then((cards) => choices.setModels(cards));
  try {
    await models;
    if (!opening) openFile(sample("chelsea.webp")); // nobody was quicker
  } catch (problem) {
    news.complain(problem, start);
  }
}

wireButtons();
listen(openFile);
start();

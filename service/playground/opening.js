// From a file to what the page shows: an image is encoded and comes back, codes are decoded.
//
// Either way it becomes { source, kind, codes, model, original, measured, bitmap }: kind is "image" or a kind of
// codes; original is a bitmap, or null where there is none or the browser cannot show it; measured tells of what
// was lost, or is null; bitmap is the picture of the codes. Of a document with several items it is the first.

import { spaceOf } from "./choices.js";
import { fromCodeFile, fromItem, fromNpy, kindOf } from "./formats.js";

const HEAD = 64; // bytes, of which the kind is known

export const kindOfFile = async (file) => kindOf(new Uint8Array(await file.slice(0, HEAD).arrayBuffer()));

export const openImage = async (file, { api, choices, signal }) => {
  const { model } = choices;
  const item = await api.encode(file, { model: model.name, signal });
  const measured = await api.reconstruct(file, { model: model.name, decoder: choices.decoderOf(model), signal });
  const shown = await createImageBitmap(file).catch(() => null); // turned as the file says; null for a TIFF, perhaps
  const codes = fromItem(item, choices.spaces);
  const isAlike = shown?.width === codes.width && shown.height === codes.height;
  return { source: file, kind: "image", codes, model, original: isAlike ? shown : null, measured, bitmap: measured.bitmap };
};

export const openCodes = async (file, kind, { api, choices, signal }) => {
  const whole = new Uint8Array(await file.arrayBuffer());
  const { bytes, item, numItems } = kind === "json" ? firstItem(whole) : { bytes: whole };
  const { model } = choices;
  // a file says whose codes it holds, but for npy
  const query = kind === "npy" ? { fingerprint: model.fingerprint } : {};
  const answer = await api.decodeFile(bytes, kind, { query, signal });
  const codes = {
    vqc: () => fromCodeFile(bytes),
    npy: () => fromNpy(bytes, spaceOf(model)),
    json: () => fromItem(item, choices.spaces),
  }[kind]();
  const owner = choices.models.find(({ fingerprint }) => fingerprint === answer.fingerprint);
  return { source: file, kind, codes, model: owner, original: null, measured: null, bitmap: answer.bitmap, numItems };
};

/** A document with its first item alone, and that item of so many; what cannot be read is the service's to refuse. */
const firstItem = (bytes) => {
  try {
    const { data } = JSON.parse(new TextDecoder().decode(bytes));
    return { bytes: new TextEncoder().encode(JSON.stringify({ data: data.slice(0, 1) })), item: data[0], numItems: data.length };
  } catch {
    return { bytes };
  }
};

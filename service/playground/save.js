// Files to keep, and lines to copy.

import { MEDIA_TYPES, write } from "./formats.js";

/** A file's name without its ending. */
export const stem = (name) => name.replace(/\.[^.]*$/, "") || "image";

/** kind: "vqc", "npy", "json" of the codes, or "png" of the picture. */
export const download = async (kind, { codes, picture, source }) => {
  const blob =
    kind === "png"
      ? await new Promise((resolve) => picture.toBlob(resolve, "image/png"))
      : new Blob([write[kind](codes)], { type: MEDIA_TYPES[kind] });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${stem(source.name)}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a browser may be slow to begin
};

/** Whether a text came to the clipboard; where it may not, it is selected, to be copied by hand. */
export const copy = async (element) => {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
};

// The ways in: files chosen, dropped or pasted, and samples; each becomes one File.

import { Problem } from "./api.js";

/** onFile(a file, or the promise of one). */
export const listen = (onFile) => {
  const chooser = document.getElementById("file");
  const take = () => {
    if (chooser.files.length) onFile(chooser.files[0]);
    chooser.value = ""; // so that the same file can be chosen again
  };
  chooser.addEventListener("change", take);
  take(); // what was chosen before this page was ready

  document.getElementById("samples").addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.sample;
    if (name) onFile(sample(name));
  });

  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (!file) return;
    event.preventDefault();
    onFile(file);
  });

  const veil = document.getElementById("veil");
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!hasFile(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
  });
};

export const sample = async (name) => {
  try {
    const response = await fetch(new URL(`playground/samples/${name}`, document.baseURI));
    const blob = await response.blob();
    return new File([blob], name, { type: blob.type });
  } catch {
    throw new Problem("The service does not answer. Is it still running?");
  }
};

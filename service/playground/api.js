// Requests to the service; whatever goes wrong becomes a Problem, in the service's own words.

import { bytesFromBase64, MEDIA_TYPES, toNpy } from "./formats.js";

const STORED = "vqvae-key";

export class Problem extends Error {
  constructor(detail, { status = 0, retryAfterS = null } = {}) {
    super(detail);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** A file of pixels as they are: no colour management, and no orientation but the file's own. */
export const bitmapOf = (blob) => createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });

export class Api {
  #key = recall();

  /** askKey(detail): resolves with a key once somebody has typed one. */
  constructor(askKey) {
    this.askKey = askKey;
  }

  get hasKey() {
    return this.#key !== null;
  }

  async models() {
    return (await (await this.#ask("v1/models")).json()).data;
  }

  /** An image's codes, as the item that the service gives. */
  async encode(file, { model, signal }) {
    const query = { model, encoding: "base64" };
    const response = await this.#ask("v1/encode", { ...image(file), accept: "application/json", query, signal });
    return (await response.json()).data[0];
  }

  /** An image's reconstruction with what was lost: { bitmap, psnr, ssim, bits_per_pixel, ... }. */
  async reconstruct(file, { model, decoder, signal }) {
    const query = { model, decoder };
    const response = await this.#ask("v1/reconstruct", { ...image(file), accept: "application/json", query, signal });
    const item = (await response.json()).data[0];
    const bitmap = await bitmapOf(new Blob([bytesFromBase64(item.image_b64)], { type: item.media_type }));
    return { ...item, bitmap };
  }

  /** The picture of codes, as a bitmap. */
  async decode(codes, { decoder, signal }) {
    const size = `${codes.width}x${codes.height}`;
    const query = { fingerprint: codes.space.fingerprint, size, decoder };
    return (await this.decodeFile(toNpy(codes), "npy", { query, signal })).bitmap;
  }

  /** The picture of a file of codes: { bitmap, fingerprint }. */
  async decodeFile(bytes, kind, { query, signal }) {
    const response = await this.#ask("v1/decode", {
      body: bytes,
      type: MEDIA_TYPES[kind],
      accept: "image/png",
      query,
      signal,
    });
    return { bitmap: await bitmapOf(await response.blob()), fingerprint: response.headers.get("X-Fingerprint") };
  }

  /** Each code decoded alone: { bitmap, columns }. */
  async atlas(model, { decoder }) {
    const path = `v1/models/${encodeURIComponent(model)}/codebook`;
    const response = await this.#ask(path, { accept: "image/png", query: { decoder } });
    return {
      bitmap: await bitmapOf(await response.blob()),
      columns: Number(response.headers.get("X-Atlas-Columns")),
    };
  }

  async #ask(path, { body, type, accept = "application/json", query = {}, signal } = {}) {
    const url = new URL(path, document.baseURI);
    for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
    for (;;) {
      const key = this.#key;
      const headers = { Accept: accept };
      if (type) headers["Content-Type"] = type;
      if (key !== null) headers.Authorization = `Bearer ${key}`;
      const response = await this.#fetch(url, { method: body ? "POST" : "GET", body, headers, signal });
      if (response.ok) return response;
      const problem = await problemOf(response);
      if (problem.status !== 401) throw problem;
      if (this.#key !== key) continue; // another request has asked for it meanwhile
      this.#key = await this.askKey(problem.message);
      remember(this.#key);
    }
  }

  async #fetch(url, options) {
    try {
      return await fetch(url, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("The service does not answer. Is it still running?");
    }
  }
}

const image = (file) => ({ body: file, type: file.type || "application/octet-stream" });

const problemOf = async (response) => {
  const retryAfterS = Number(response.headers.get("Retry-After")) || null;
  const about = { status: response.status, retryAfterS };
  try {
    return new Problem((await response.json()).detail, about);
  } catch {
    return new Problem(`The answer was ${response.status} ${response.statusText}.`, about); // from something in between
  }
};

function recall() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null; // storage is switched off
  }
}

function remember(key) {
  try {
    sessionStorage.setItem(STORED, key);
  } catch {
    // then it is known until the page is left
  }
}

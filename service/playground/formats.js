// Codes as files, and files as codes: the code file (.vqc), NumPy (.npy) and JSON. vqvae/formats describes them.
// What is read here has been decoded by the service before, which checks it: nothing is checked again.

import { Codes } from "./codes.js";

const MAGIC = [0x89, 0x56, 0x51, 0x43, 0x0d, 0x0a, 0x1a, 0x0a];
const HEADER = 80;
export const MEDIA_TYPES = {
  vqc: "application/vnd.vqvae.codes",
  npy: "application/x-npy",
  json: "application/json",
};

/** "vqc", "npy" or "json" by the first bytes of a file; null for what is none of these, an image perhaps. */
export const kindOf = (bytes) => {
  const begins = (...start) => start.every((byte, i) => bytes[i] === byte);
  if (begins(0x89, 0x56, 0x51, 0x43)) return "vqc";
  if (begins(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59)) return "npy";
  const first = bytes.find((byte) => ![0x20, 0x09, 0x0a, 0x0d].includes(byte));
  return first === 0x7b ? "json" : null;
};

export const write = { vqc: toCodeFile, npy: toNpy, json: toJson };

// Packed codes

const bitsOf = (codebookSize) => Math.ceil(Math.log2(codebookSize));

/** Bytes of a code file, without writing it. */
export const codeFileBytes = ({ values, space }) =>
  HEADER + space.model.length + 9 + Math.ceil((values.length * bitsOf(space.codebookSize)) / 8) + 4;

export function toCodeFile(codes) {
  const { space, values } = codes;
  const name = new TextEncoder().encode(space.model);
  const bits = bitsOf(space.codebookSize);
  const length = Math.ceil((values.length * bits) / 8);
  const total = HEADER + name.length + 9 + length + 4;
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint16(8, 1, true);
  view.setBigUint64(10, BigInt(total), true);
  bytes[18] = name.length;
  for (let i = 0; i < 32; i += 1) bytes[19 + i] = parseInt(space.fingerprint.slice(2 * i, 2 * i + 2), 16);
  view.setBigUint64(51, BigInt(space.codebookSize), true);
  [space.factor, codes.width, codes.height, codes.rows, codes.columns].forEach((number, i) =>
    view.setUint32(59 + 4 * i, number, true),
  );
  bytes[79] = 1;
  bytes.set(name, HEADER);
  let at = HEADER + name.length;
  bytes[at] = 1;
  view.setBigUint64(at + 1, BigInt(length), true);
  at += 9;
  let bit = 0;
  for (const code of values) {
    for (let b = bits - 1; b >= 0; b -= 1, bit += 1) {
      if (Math.floor(code / 2 ** b) % 2) bytes[at + (bit >> 3)] |= 0x80 >> (bit & 7);
    }
  }
  view.setUint32(total - 4, crc32(bytes.subarray(0, total - 4)), true);
  return bytes;
}

export function fromCodeFile(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const nameLength = bytes[18];
  const hex = Array.from(bytes.subarray(19, 51), (byte) => byte.toString(16).padStart(2, "0"));
  const [factor, width, height, rows, columns] = [0, 1, 2, 3, 4].map((i) => view.getUint32(59 + 4 * i, true));
  const space = {
    model: new TextDecoder().decode(bytes.subarray(HEADER, HEADER + nameLength)),
    fingerprint: hex.join(""),
    codebookSize: Number(view.getBigUint64(51, true)),
    factor,
  };
  const bits = bitsOf(space.codebookSize);
  const at = HEADER + nameLength + 9;
  const values = new Uint32Array(rows * columns);
  let bit = 0;
  for (let i = 0; i < values.length; i += 1) {
    let code = 0;
    for (let b = 0; b < bits; b += 1, bit += 1) code = code * 2 + ((bytes[at + (bit >> 3)] >> (7 - (bit & 7))) & 1);
    values[i] = code;
  }
  return new Codes({ values, width, height, space });
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

const crc32 = (bytes) => {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC_TABLE[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
};

// NumPy

const typed = ({ values, space }) => (space.codebookSize > 65536 ? values : Uint16Array.from(values));
const dtypeOf = (space) => (space.codebookSize > 65536 ? "uint32" : "uint16");
const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength); // little-endian, as browsers are

export function toNpy(codes) {
  const array = typed(codes);
  const described = `{'descr': '<u${array.BYTES_PER_ELEMENT}', 'fortran_order': False, 'shape': (${codes.rows}, ${codes.columns}), }`;
  const length = 64 * Math.ceil((10 + described.length + 1) / 64) - 10;
  const head = new TextEncoder().encode(`${described.padEnd(length - 1)}\n`);
  const bytes = new Uint8Array(10 + length + array.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  bytes.set(head, 10);
  bytes.set(bytesOf(array), 10 + length);
  return bytes;
}

/** Says neither whose codes they are nor the image's size: that is for who reads it to know. */
export function fromNpy(bytes, space) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [length, start] = bytes[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const head = new TextDecoder().decode(bytes.subarray(start, start + length));
  const [, order, kind, size] = head.match(/'descr': *'([<>|=])([iu])(\d)'/);
  const [rows, columns] = head.match(/'shape': *\(([^)]*)\)/)[1].split(",").map(Number);
  const isFortran = /'fortran_order': *True/.test(head);
  const itemsize = Number(size);
  const read = { 1: "Int8", 2: "Int16", 4: "Int32", 8: "BigInt64" }[itemsize];
  const method = `get${kind === "u" ? read.replace("Int", "Uint") : read}`;
  const item = (i) => Number(view[method](start + length + i * itemsize, order !== ">"));
  const values = Uint32Array.from({ length: rows * columns }, (_, i) =>
    item(isFortran ? (i % columns) * rows + Math.floor(i / columns) : i),
  );
  return new Codes({ values, width: columns * space.factor, height: rows * space.factor, space });
}

// JSON

export function toJson(codes) {
  const { space, rows, columns, width, height } = codes;
  const lists = Array.from({ length: rows }, (_, row) =>
    Array.from(codes.values.subarray(row * columns, (row + 1) * columns)),
  );
  const item = {
    index: 0,
    model: space.model,
    fingerprint: space.fingerprint,
    codes: lists,
    dtype: dtypeOf(space),
    grid: { height: rows, width: columns },
    original_size: { width, height },
    codebook_size: space.codebookSize,
    downsample_factor: space.factor,
  };
  const counts = { images: 1, codes: rows * columns, failed: 0 };
  return new TextEncoder().encode(JSON.stringify({ data: [item], counts }));
}

/** The codes of an item, of which `known` may give what it leaves out: K and f by fingerprint. */
export function fromItem(item, known) {
  const space = known.find(({ fingerprint }) => fingerprint === item.fingerprint);
  const values = item.codes ? Uint32Array.from(item.codes.flat()) : fromBase64(item.codes_b64, item.dtype);
  return new Codes({ values, ...item.original_size, space: { ...space, model: item.model } });
}

export const bytesFromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

const fromBase64 = (text, dtype) => {
  const { buffer } = bytesFromBase64(text);
  return dtype === "uint32" ? new Uint32Array(buffer) : Uint32Array.from(new Uint16Array(buffer));
};

// What was just done, as lines for a shell and for Python.

import { stem } from "./save.js";

/** A word that any shell takes as it is. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const string = (text) => JSON.stringify(text); // for Python, which reads JSON's strings

const url = (path, query) => {
  const full = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) if (value) full.searchParams.set(name, value);
  return full.href;
};

/** kind: "image" or a kind of codes; model and decoder: null for those that are taken unless told. */
export const lines = (done) => ({ curl: curl(done), python: python(done) });

const curl = ({ kind, name, type, model, decoder, space, hasKey }) => {
  const key = hasKey ? ' -H "Authorization: Bearer $VQVAE_KEY"' : "";
  const post = (path, query, mediaType, file, out) =>
    `curl -s ${quoted(url(path, query))}${key} \\\n  -H ${quoted(`Content-Type: ${mediaType}`)} \\\n` +
    `  --data-binary ${quoted(`@${file}`)} -o ${quoted(out)}`;
  const picture = `${stem(name)}-again.png`;
  const fingerprint = kind === "npy" ? space.fingerprint : null;
  if (kind !== "image") return post("v1/decode", { decoder, fingerprint }, type, name, picture);
  const codes = `${stem(name)}.json`;
  return [
    post("v1/encode", { model }, type, name, codes),
    post("v1/decode", { decoder }, "application/json", codes, picture),
  ].join("\n");
};

const python = ({ kind, name, model, decoder, space, hasKey }) => {
  const isImage = kind === "image";
  const names = isImage ? "Client" : kind === "npy" ? "Client, CodeSpace, load_codes" : "Client, load_codes";
  const base = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const key = hasKey ? ', api_key=os.environ["VQVAE_KEY"]' : "";
  const { model: label, fingerprint, codebookSize, factor } = space;
  const grid = {
    image: `client.encode(${string(name)}${model ? `, model=${string(model)}` : ""})`,
    npy: `load_codes(${string(name)}, space)`,
  }[kind];
  return [
    ...(hasKey ? ["import os", ""] : []),
    `from vqvae import ${names}`,
    "",
    ...(kind === "npy" ? ["space = CodeSpace(", `    ${string(label)},`, `    ${string(fingerprint)},`, `    ${codebookSize}, ${factor},`, ")"] : []),
    `with Client(${string(base)}${key}) as client:`,
    `    grid = ${grid ?? `load_codes(${string(name)})`}`,
    ...(isImage ? ["    print(grid, grid.codes)"] : []),
    `    picture = client.decode(grid${decoder ? `, decoder=${string(decoder)}` : ""})`,
    `    picture.save(${string(`${stem(name)}-again.png`)})`,
  ].join("\n");
};

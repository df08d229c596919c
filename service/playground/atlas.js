// Each code decoded alone, fetched once for each model and decoder.

export class Atlas {
  constructor({ bitmap, columns }, { codebookSize, factor }) {
    Object.assign(this, { bitmap, columns, codebookSize, factor });
  }

  /** Draw the patch of a code into a square of so many pixels a side. */
  draw(context, code, x, y, side) {
    const f = this.factor;
    const [row, column] = [Math.floor(code / this.columns), code % this.columns];
    context.drawImage(this.bitmap, column * f, row * f, f, f, x, y, side, side);
  }

  /** Red, green and blue of 2x2 parts of each patch: (K, 12), for comparing. */
  features() {
    const parts = 2;
    const side = this.columns * parts;
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap, 0, 0, side, side);
    const { data } = context.getImageData(0, 0, side, side);
    const features = new Float32Array(this.codebookSize * parts * parts * 3);
    let at = 0;
    for (let code = 0; code < this.codebookSize; code += 1) {
      const [top, left] = [Math.floor(code / this.columns) * parts, (code % this.columns) * parts];
      for (let part = 0; part < parts * parts; part += 1) {
        const pixel = 4 * ((top + Math.floor(part / parts)) * side + left + (part % parts));
        for (let channel = 0; channel < 3; channel += 1) features[at++] = data[pixel + channel];
      }
    }
    return features;
  }
}

export class Atlases {
  #kept = new Map(); // promises, by model and decoder

  constructor(api) {
    this.api = api;
  }

  /** The atlas of a model's decoder; one that failed is asked for anew the next time. */
  get(space, decoder) {
    const key = `${space.fingerprint} ${decoder}`;
    if (!this.#kept.has(key)) {
      const asked = this.api.atlas(space.model, { decoder }).then((answer) => new Atlas(answer, space));
      asked.catch(() => this.#kept.delete(key));
      this.#kept.set(key, asked);
    }
    return this.#kept.get(key);
  }
}

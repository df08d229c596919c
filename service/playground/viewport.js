// What part of an image is to be seen, in fractions of it: panes of any size share one, and so zoom together.

export class Viewport extends EventTarget {
  zoom = 1; // 1 shows all of it
  x = 0.5; // what lies in the middle
  y = 0.5;

  /** nearest: the largest zoom. */
  setImage(width, height, nearest) {
    [this.width, this.height] = [width, height];
    this.nearest = Math.max(1, nearest);
    this.fit();
  }

  fit() {
    this.#set(1, 0.5, 0.5);
  }

  /** Where the image lies in a pane of width x height: { scale, left, top }, in the pane's pixels. */
  placement(width, height) {
    const scale = Math.min(width / this.width, height / this.height) * this.zoom;
    return {
      scale,
      left: placed(width, this.width * scale, this.x),
      top: placed(height, this.height * scale, this.y),
    };
  }

  /** Zoom so that what lies at a point of a pane stays there; without a point, the middle does. */
  zoomBy(factor, pane = { width: this.width, height: this.height }, point = null) {
    const before = this.placement(pane.width, pane.height);
    const at = point ?? { x: pane.width / 2, y: pane.height / 2 };
    const zoom = Math.min(this.nearest, Math.max(1, this.zoom * factor));
    const scale = (before.scale * zoom) / this.zoom;
    const [u, v] = [(at.x - before.left) / before.scale, (at.y - before.top) / before.scale];
    this.#set(
      zoom,
      (u + (pane.width / 2 - at.x) / scale) / this.width,
      (v + (pane.height / 2 - at.y) / scale) / this.height,
    );
  }

  /** Move what is seen by so many pixels of a pane. */
  panBy(dx, dy, pane) {
    const { scale } = this.placement(pane.width, pane.height);
    this.#set(this.zoom, this.x - dx / (scale * this.width), this.y - dy / (scale * this.height));
  }

  /** See to it that a rectangle of the image, in its pixels, is in the picture. */
  reveal({ left, top, right, bottom }) {
    const half = 0.5 / this.zoom;
    const near = (middle, from, to) => Math.min(Math.max(middle, to - half), from + half);
    this.#set(
      this.zoom,
      near(this.x, left / this.width, right / this.width),
      near(this.y, top / this.height, bottom / this.height),
    );
  }

  #set(zoom, x, y) {
    const half = 0.5 / zoom;
    this.zoom = zoom;
    this.x = Math.min(Math.max(x, half), 1 - half);
    this.y = Math.min(Math.max(y, half), 1 - half);
    this.dispatchEvent(new Event("change"));
  }
}

/** Where something of a length begins in a pane: in its middle if it fits in, else with no gap at either end. */
const placed = (pane, length, middle) => {
  if (length <= pane) return (pane - length) / 2;
  return Math.min(0, Math.max(pane - length, pane / 2 - middle * length));
};

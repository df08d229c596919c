// A canvas that shows part of an image: sharp on any screen, zoomed and moved by wheel, pinch, drag and keys.

const STEP = 1.5; // of the zoom, for a key
const SLACK = 5; // pixels that a click may move

export class Pane {
  #pointers = new Map(); // those that are down, where they are
  #pressed = null; // where the one that acts went down
  #isPanning = false;
  #isWaiting = false;

  /** draw(context, placement) paints; what a pointer does is for who sets the handlers below. */
  constructor(element, viewport, draw) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.viewport = viewport;
    this.draw = draw;
    this.pans = () => true; // whether a drag moves the view, else it goes to onDrag
    this.onHover = () => {}; // (point or null)
    this.onPress = () => {}; // (point, event)
    this.onDrag = () => {};
    this.onRelease = () => {}; // (point, isClick)
    this.onCancel = () => {};
    viewport.addEventListener("change", () => {
      element.classList.toggle("near", viewport.zoom > 1); // then a finger moves the view, not the page
      this.invalidate();
    });
    new ResizeObserver(() => this.invalidate()).observe(element);
    this.#listen();
  }

  get size() {
    return this.element.getBoundingClientRect(); // not clientWidth, which is rounded
  }

  get placement() {
    return this.viewport.placement(this.size.width, this.size.height);
  }

  /** Paint again, once, before the next frame. */
  invalidate() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    requestAnimationFrame(() => {
      this.#isWaiting = false;
      this.#paint();
    });
  }

  /** Let a key zoom, if it is one that does. */
  zoomKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "+" || event.key === "=") this.viewport.zoomBy(STEP, this.size);
    else if (event.key === "-") this.viewport.zoomBy(1 / STEP, this.size);
    else if (event.key === "0") this.viewport.fit();
    else return false;
    event.preventDefault();
    return true;
  }

  /** A point of the pane in the image's pixels. */
  toImage({ x, y }) {
    const { scale, left, top } = this.placement;
    return { x: (x - left) / scale, y: (y - top) / scale };
  }

  #paint() {
    const { width, height } = this.size;
    if (!width || !height || !this.viewport.width) return;
    const ratio = devicePixelRatio;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, w, h);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.draw(context, this.placement);
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    canvas.addEventListener("pointerleave", () => this.onHover(null));
    canvas.addEventListener("dblclick", (event) => {
      if (this.pans()) this.viewport.zoomBy(2, this.size, this.#point(event));
    });
    this.element.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the page
        event.preventDefault();
        this.viewport.zoomBy(Math.exp(-event.deltaY / 200), this.size, this.#point(event));
      },
      { passive: false },
    );
  }

  #point(event) {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #down(event) {
    if (event.button > 1) return;
    this.canvas.setPointerCapture(event.pointerId);
    const point = this.#point(event);
    this.#pointers.set(event.pointerId, point);
    if (this.#pointers.size === 2) {
      if (this.#pressed) this.onCancel();
      this.#pressed = null;
      return;
    }
    if (this.#pointers.size > 2) return;
    this.#pressed = point;
    this.#isPanning = event.button === 1 || this.pans();
    if (!this.#isPanning) this.onPress(point, event);
  }

  #move(event) {
    const point = this.#point(event);
    const before = this.#pointers.get(event.pointerId);
    if (!before) {
      this.onHover(point);
      return;
    }
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, point);
    else if (this.#pressed && this.#isPanning) this.viewport.panBy(point.x - before.x, point.y - before.y, this.size);
    else if (this.#pressed) this.onDrag(point);
    if (this.#pressed) this.onHover(point);
    this.#pointers.set(event.pointerId, point);
  }

  #pinch(id, point) {
    const before = this.#pointers.get(id);
    const [[, other]] = [...this.#pointers].filter(([each]) => each !== id);
    const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const middle = { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 };
    this.viewport.panBy((point.x - before.x) / 2, (point.y - before.y) / 2, this.size);
    this.viewport.zoomBy(distance(point, other) / distance(before, other), this.size, middle);
  }

  #up(event) {
    const point = this.#point(event);
    this.#pointers.delete(event.pointerId);
    if (!this.#pressed) return;
    const isClick = Math.hypot(point.x - this.#pressed.x, point.y - this.#pressed.y) <= SLACK;
    this.#pressed = null;
    if (!this.#isPanning || isClick) this.onRelease(point, isClick);
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    if (this.#pressed) this.onCancel();
    this.#pressed = null;
  }
}

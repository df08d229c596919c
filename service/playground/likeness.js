// Puts things where their neighbours are like them: a worker that takes { features (K, D), num, columns } and answers
// with an order, so that order[place] is the thing at that place of a grid, row by row.
//
// It begins with rows sorted by lightness. Then places swap their things wherever both come nearer to the mean of
// where they go; the means are over ever smaller neighbourhoods, so that the coarse order comes first. This is a
// self-sorting map (Strong and Gong, 2011) of pairs.

const PASSES = 3; // over each size of neighbourhood
const SHRINK = 0.72;

/** Numbers in [0, 1) that are the same each time (mulberry32), so that the map is. */
const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

export const sorted = ({ features, num, columns }) => {
  const size = features.length / num;
  const draw = random(1);
  const order = start(features, num, size, columns);
  for (let reach = columns / 3; reach >= 1; reach *= SHRINK) {
    for (let pass = 0; pass < PASSES; pass += 1) {
      const means = meansAround(order, features, size, columns, Math.round(reach));
      improve(order, features, size, columns, means, Math.ceil(reach), draw);
    }
  }
  return order;
};

/** By lightness into rows, and within a row by how warm. */
const start = (features, num, size, columns) => {
  const total = (thing, weights) => {
    let sum = 0;
    for (let i = 0; i < size; i += 1) sum += features[thing * size + i] * weights[i % 3];
    return sum;
  };
  const by = (weights) => {
    const keys = Float64Array.from({ length: num }, (_, thing) => total(thing, weights));
    return (a, b) => keys[a] - keys[b] || a - b;
  };
  const [light, warm] = [by([0.3, 0.6, 0.1]), by([1, 0, -1])];
  const order = Uint32Array.from({ length: num }, (_, thing) => thing).sort(light);
  for (let from = 0; from < num; from += columns) order.subarray(from, from + columns).sort(warm);
  return order;
};

/** Of every place the mean of the things at most `reach` rows and columns away: first along rows, then columns. */
const meansAround = (order, features, size, columns, reach) => {
  const num = order.length;
  const rows = Math.ceil(num / columns);
  const along = Float32Array.from({ length: num * size }, (_, i) => features[order[Math.floor(i / size)] * size + (i % size)]);
  const inRows = smoothed(along, size, (place) => place - (place % columns), () => columns, 1, reach, num);
  return smoothed(inRows, size, (place) => place % columns, () => rows, columns, reach, num);
};

/** Means over places a step apart, in the line that begins at `first(place)`. */
const smoothed = (values, size, first, count, step, reach, num) => {
  const means = new Float32Array(values.length);
  const sum = new Float64Array(size);
  for (let place = 0; place < num; place += 1) {
    if (first(place) !== place) continue; // lines are gone through from their first place
    const line = [];
    for (let i = 0; i < count(); i += 1) if (place + i * step < num) line.push(place + i * step);
    sum.fill(0);
    let [from, to] = [0, 0];
    line.forEach((at, i) => {
      for (; to < line.length && to <= i + reach; to += 1) add(sum, values, line[to] * size, 1);
      for (; from < i - reach; from += 1) add(sum, values, line[from] * size, -1);
      for (let d = 0; d < size; d += 1) means[at * size + d] = sum[d] / (to - from);
    });
  }
  return means;
};

const add = (sum, values, at, sign) => {
  for (let d = 0; d < sum.length; d += 1) sum[d] += sign * values[at + d];
};

const improve = (order, features, size, columns, means, reach, draw) => {
  const num = order.length;
  const distance = (thing, place) => {
    let sum = 0;
    for (let d = 0; d < size; d += 1) sum += (features[thing * size + d] - means[place * size + d]) ** 2;
    return sum;
  };
  const step = () => Math.floor(draw() * (2 * reach + 1)) - reach;
  for (let trial = 0; trial < 4 * num; trial += 1) {
    const a = Math.floor(draw() * num);
    const [row, column] = [Math.floor(a / columns) + step(), (a % columns) + step()];
    const b = row * columns + column;
    if (row < 0 || column < 0 || column >= columns || b >= num || a === b) continue;
    const [one, other] = [order[a], order[b]];
    if (distance(one, b) + distance(other, a) < distance(one, a) + distance(other, b)) {
      order[a] = other;
      order[b] = one;
    }
  }
};

onmessage = ({ data }) => postMessage(sorted(data));

// A picture to the 28 by 28 that the network reads: what birnn_cli/data/{files,light,ink,images,
// convention}.py do, step by step. Lines of ruled paper and digits side by side are not looked for.
// The constants are explained there.

/**
 * A picture's values, row by row.
 * @typedef {{width: number, height: number, data: Float32Array}} Grey
 */

/**
 * A part of the ink: pixels that touch each other. `right` and `bottom` are exclusive.
 * @typedef {{area: number, left: number, top: number, right: number, bottom: number, sum: number,
 *   isStrong: boolean}} Part
 */

const BOX_SIZE = 20;
const [WORKING_SIDE, SMALL_SIDE, MIN_LIT_SIDE] = [640, 128, 20];
const [MIN_CONTRAST, EVEN_LIGHT] = [10, 0.85];
const [SURFACE_FITS, SURFACE_TOLERANCE] = [6, 8];
const [STROKE, NARROW] = [0.35, 0.08];
const [MIN_CONTRAST_IN_NOISE, CLEAR_IN_NOISE, SMOOTHING] = [6, 12, 200];
const [FAINT, SPECK_AREA, SPECK_SIDE] = [0.6, 0.04, 0.12];
const [DRAWN_SIDE, EDGE, EDGE_SHARE, EDGE_TONE] = [0.2, 0.08, 0.4, 0.75];
const [MIN_PEN_WIDTH, FINE, FULL_INK] = [2, 3, 0.35];
const FLOAT_EPSILON = 2 ** -23;

/**
 * Find a digit and bring it to MNIST's convention; a picture that is in it already stays as it is.
 * @param {Grey} grey In 0 to 255.
 * @returns {Uint8Array | null} (28, 28), ink light on black; null where there is no ink.
 */
function readDigit(grey) {
  if (isPlaced(grey)) return Uint8Array.from(grey.data);
  const light = findPolarity(rounded(shrink(grey, WORKING_SIDE)));
  const ink = light && findInk(light);
  return light && ink && normalise(light, ink);
}

/**
 * Grey and 28 by 28, no more.
 * @param {Grey} grey In 0 to 255.
 * @returns {Uint8Array} (28, 28)
 */
function readPlain(grey) {
  return Uint8Array.from(rounded(average(grey, SIDE, SIDE)).data);
}

// Grey levels ---------------------------------------------------------------------------------------

/**
 * Grey levels by ITU-R 601, as Pillow computes them; what is transparent becomes paper.
 * @param {ImageData} picture
 * @returns {Grey} In 0 to 255, whole numbers.
 */
function toGrey({ width, height, data: rgba }) {
  const data = new Float32Array(width * height);
  for (let k = 0, at = 0; k < data.length; k++, at += 4) {
    data[k] = (19595 * rgba[at] + 38470 * rgba[at + 1] + 7471 * rgba[at + 2] + 0x8000) >> 16;
  }
  // Mostly opaque: the transparent rest continues the paper. Else what is there is ink.
  const opaque = data.filter((_, k) => rgba[4 * k + 3] > 127);
  let paper = opaque.length === 0 || mean(opaque) < 128 ? 255 : 0;
  if (2 * opaque.length > data.length) paper = median(opaque);
  return rounded({
    ...{ width, height },
    data: data.map((level, k) => paper + (level - paper) * (rgba[4 * k + 3] / 255)),
  });
}

/**
 * Whether a picture is in MNIST's convention: on black, its longer side 20 pixels, its centre of mass at
 * pixel 14, each within one pixel.
 * @param {Grey} grey
 */
function isPlaced({ width, height, data }) {
  if (width !== SIDE || height !== SIDE || !data.some((level) => level > 0)) return false;
  const profiles = [new Float64Array(SIDE), new Float64Array(SIDE)];
  data.forEach((level, k) => {
    profiles[0][Math.floor(k / SIDE)] += level;
    profiles[1][k % SIDE] += level;
  });
  const spans = profiles.map(
    (profile) => profile.findLastIndex((sum) => sum > 0) - profile.findIndex((sum) => sum > 0) + 1,
  );
  const centres = profiles.map(
    (profile) =>
      profile.reduce((sum, mass, k) => sum + k * mass, 0) / profile.reduce((sum, mass) => sum + mass, 0),
  );
  return (
    Math.abs(Math.max(...spans) - BOX_SIZE) <= 1 &&
    centres.every((centre) => Math.abs(centre - SIDE / 2) <= 1)
  );
}

// Light ---------------------------------------------------------------------------------------------

/**
 * Make ink light on black, with the paper's uneven light taken away.
 * @param {Grey} grey In 0 to 255.
 * @returns {Grey | null} How much lighter than the paper; null when nothing is.
 */
function findPolarity(grey) {
  const shorter = Math.min(grey.width, grey.height);
  if (shorter < 3 || range(grey.data) < MIN_CONTRAST) return null;
  const apart = separability(grey.data);
  if (shorter >= MIN_LIT_SIDE && apart < EVEN_LIGHT) {
    const flat = minus(grey, surface(grey));
    if (range(flat.data) < MIN_CONTRAST) return null;
    if (separability(flat.data) > apart) grey = flat;
  }
  let light = isDarkOnLight(grey) ? negative(grey) : grey;
  if (shorter >= MIN_LIT_SIDE) {
    light = minus(light, stretch(opened(shrink(light, SMALL_SIDE), STROKE), light.width, light.height));
  }
  return onPaper(light);
}

/**
 * Whether ink is darker than paper: paper is most of a picture, or most of its border. Where neither says
 * so, strokes do: they are what is narrow.
 * @param {Grey} grey
 */
function isDarkOnLight(grey) {
  const small = shrink(grey, SMALL_SIDE);
  const level = threshold(small.data);
  const share = mean(small.data.map((value) => Number(value > level)));
  const onBorder = mean(border(small).map((value) => Number(value > level)));
  if (share > 0.25 && share <= 0.75 && onBorder > 0.2 && onBorder < 0.8) {
    const [dark, light] = [negative(small), small].map((ink) =>
      mean(minus(ink, opened(ink, NARROW)).data.map((value) => value * value)),
    );
    return dark > light;
  }
  return share > 0.75 || (share > 0.25 && onBorder > 0.5);
}

/**
 * What is along the edges of a picture; corners count twice.
 * @param {Grey} grey
 * @returns {Float32Array}
 */
function border({ width, height, data }) {
  const values = [...data.subarray(0, width), ...data.subarray((height - 1) * width)];
  for (let y = 0; y < height; y++) values.push(data[y * width], data[(y + 1) * width - 1]);
  return Float32Array.from(values);
}

/**
 * The light on the paper as a quadratic surface, fitted to the larger of two classes of grey levels, and
 * again to what lies near the fit.
 * @param {Grey} grey
 * @returns {Grey} Of the same size.
 */
function surface({ width, height, data }) {
  const terms = (/** @type {number} */ k) => {
    const [x, y] = [(2 * (k % width)) / (width - 1) - 1, (2 * Math.floor(k / width)) / (height - 1) - 1];
    return [1, x, y, x * x, x * y, y * y];
  };
  const [across, along] = [width, height].map((side) => Math.max(1, Math.floor(side / 64)));
  const places = [];
  for (let y = 0; y < height; y += along) {
    for (let x = 0; x < width; x += across) places.push(y * width + x);
  }
  const level = threshold(Float32Array.from(places, (k) => data[k]));
  const bright = places.filter((k) => data[k] > level);
  let near = 2 * bright.length > places.length ? bright : places.filter((k) => data[k] <= level);
  let fit = [0, 0, 0, 0, 0, 0];
  const off = (/** @type {number} */ k) => Math.abs(data[k] - dot(terms(k), fit));
  for (let round = 0; round < SURFACE_FITS; round++) {
    fit = leastSquares(near.map(terms), near.map((k) => data[k]));
    const most = Math.max(SURFACE_TOLERANCE, 4.5 * median(Float32Array.from(near, off)));
    near = places.filter((k) => off(k) <= most);
  }
  return { width, height, data: data.map((_, k) => dot(terms(k), fit)) };
}

/**
 * The coefficients whose products with the terms come nearest to the values, by the normal equations.
 * @param {number[][]} terms (samples, coefficients)
 * @param {number[]} values (samples)
 * @returns {number[]} (coefficients)
 */
function leastSquares(terms, values) {
  const size = terms[0].length;
  const system = Array.from({ length: size }, () => new Float64Array(size + 1));
  terms.forEach((own, sample) => {
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) system[row][column] += own[row] * own[column];
      system[row][size] += own[row] * values[sample];
    }
  });
  // Gauss and Jordan; the matrix is positive definite, so that the diagonal may be divided by.
  for (let pivot = 0; pivot < size; pivot++) {
    system[pivot] = system[pivot].map((value) => value / system[pivot][pivot]);
    for (let row = 0; row < size; row++) {
      if (row === pivot) continue;
      const factor = system[row][pivot];
      system[row] = system[row].map((value, column) => value - factor * system[pivot][column]);
    }
  }
  return system.map((row) => row[size]);
}

// Ink -----------------------------------------------------------------------------------------------

/**
 * Otsu's threshold, with fainter pixels that touch the ink it finds; specks, and what is of the page, are
 * left out.
 * @param {Grey} light How much lighter than the paper.
 * @returns {Uint8Array | null} 1 where there is ink; null without any.
 */
function findInk(light) {
  let found = contrastOf(light.data);
  if (found.contrast < CLEAR_IN_NOISE * found.noise) {
    light = onPaper(smoothed(light, Math.max(light.width, light.height) / SMOOTHING));
    found = contrastOf(light.data);
  }
  if (found.contrast < Math.max(MIN_CONTRAST, MIN_CONTRAST_IN_NOISE * found.noise)) return null;
  const { labels, parts } = findParts(light, found.level);
  const whole = parts.map((part, number) => ({ part, number })).filter(({ part }) => part.isStrong);
  const darkest = Math.max(...whole.map(({ part }) => part.sum / part.area));
  const drawn = whole.filter(
    ({ part, number }) => !isOfPage(light, labels, number + 1, part, part.sum / part.area / darkest),
  );
  const isDrawn = sideOf(largest(drawn)) >= DRAWN_SIDE * Math.min(light.width, light.height);
  const kept = isDrawn ? drawn : whole;
  const main = largest(kept);
  if (!main) return null;
  const isKept = new Uint8Array(parts.length + 1);
  for (const { part, number } of kept) {
    const isSpeck = part.area < SPECK_AREA * main.area || sideOf(part) < SPECK_SIDE * sideOf(main);
    isKept[number + 1] = Number(!isSpeck);
  }
  return new Uint8Array(labels).map((_, k) => isKept[labels[k]]);
}

/**
 * Otsu's threshold, by how much ink stands out, and the paper's noise; all in grey levels.
 * @param {Float32Array} light
 */
function contrastOf(light) {
  const level = threshold(light.map((value) => Math.max(0, value)));
  const [strong, clean] = [light.filter((value) => value > level), paperOf(light)];
  // The paper's spread, as of a normal one, from its dark side alone: on the other there is ink.
  const middle = median(clean);
  const noise = 1.4826 * (middle - median(clean.filter((value) => value <= middle)));
  return { level, contrast: strong.length ? median(strong) : 0, noise };
}

/**
 * Pixels of ink that touch each other, corners included, have the same label: 1 for the first of the parts.
 * @param {Grey} light
 * @param {number} level Some pixel of a part that is strong is above it.
 * @returns {{labels: Int32Array, parts: Part[]}}
 */
function findParts({ width, height, data }, level) {
  const labels = new Int32Array(data.length);
  /** @type {Part[]} */
  const parts = [];
  const waiting = [];
  for (let start = 0; start < data.length; start++) {
    if (labels[start] || data[start] <= FAINT * level) continue;
    const part = { area: 0, left: width, top: height, right: 0, bottom: 0, sum: 0, isStrong: false };
    labels[start] = parts.push(part);
    waiting.push(start);
    for (let k = waiting.pop(); k !== undefined; k = waiting.pop()) {
      const [x, y] = [k % width, Math.floor(k / width)];
      part.area += 1;
      part.sum += data[k];
      part.isStrong ||= data[k] > level;
      [part.left, part.right] = [Math.min(part.left, x), Math.max(part.right, x + 1)];
      [part.top, part.bottom] = [Math.min(part.top, y), Math.max(part.bottom, y + 1)];
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const next = v * width + u;
          if (labels[next] || data[next] <= FAINT * level) continue;
          labels[next] = parts.length;
          waiting.push(next);
        }
      }
    }
  }
  return { labels, parts };
}

/**
 * The part of the largest area.
 * @param {{part: Part}[]} some
 * @returns {Part | undefined}
 */
function largest(some) {
  return some.map(({ part }) => part).sort((one, other) => other.area - one.area)[0];
}

/** @param {Part | undefined} part */
function sideOf(part) {
  return part ? Math.max(part.right - part.left, part.bottom - part.top) : 0;
}

/**
 * Whether a part of the ink is of the page: a frame, or what lies along its edges or in a corner.
 * @param {Grey} light
 * @param {Int32Array} labels
 * @param {number} label The part's.
 * @param {Part} part
 * @param {number} tone How much it stands out, as a share of what stands out most.
 */
function isOfPage({ width, height }, labels, label, part, tone) {
  const [across, along] = [part.right - part.left, part.bottom - part.top];
  const isOwn = (/** @type {number} */ x, /** @type {number} */ y) => labels[y * width + x] === label;
  const count = (/** @type {number} */ length, /** @type {(k: number) => boolean} */ test) =>
    Array.from({ length }, (_, k) => test(k)).filter(Boolean).length;
  const edges = [
    count(width, (x) => isOwn(x, 0)) / width,
    count(width, (x) => isOwn(x, height - 1)) / width,
    count(height, (y) => isOwn(0, y)) / height,
    count(height, (y) => isOwn(width - 1, y)) / height,
  ];
  const touched = edges.filter((share) => share > 0).length;
  if (touched > 1 || Math.max(...edges) > EDGE_SHARE) return true;
  const isNarrow = Math.min(across / width, along / height) <= EDGE;
  if (touched && (isNarrow || tone < EDGE_TONE)) return true;
  if (Math.min(across, along) < 10) return false;
  const [marginX, marginY] = [Math.floor(across / 10), Math.floor(along / 10)];
  let inner = 0;
  for (let y = part.top + marginY; y < part.bottom - marginY; y++) {
    inner += count(across - 2 * marginX, (k) => isOwn(part.left + marginX + k, y));
  }
  return inner < 0.1 * part.area;
}

// MNIST's convention --------------------------------------------------------------------------------

/**
 * Bring ink to MNIST's convention.
 * @param {Grey} light
 * @param {Uint8Array} ink 1 where there is ink.
 * @returns {Uint8Array} (28, 28)
 */
function normalise(light, ink) {
  const own = boxOf(light.width, ink);
  const mask = cropped({ ...light, data: new Float32Array(ink) }, own);
  const strokes = cropped(light, own);
  const near = widened(mask, 1).data;
  strokes.data.forEach((value, k) => (strokes.data[k] = near[k] * Math.max(0, value)));
  const fine = thickened(resized(strokes, FINE * BOX_SIZE));
  const scaled = resized(fine, BOX_SIZE);
  const box = new Uint8Array(BOX_SIZE * BOX_SIZE);
  const [top, left] = [scaled.height, scaled.width].map((side) => Math.floor((BOX_SIZE - side) / 2));
  scaled.data.forEach((value, k) => {
    const [x, y] = [k % scaled.width, Math.floor(k / scaled.width)];
    box[(top + y) * BOX_SIZE + left + x] = roundHalfEven(Math.min(255, Math.max(0, 255 * value)));
  });
  return placed(box);
}

/**
 * The smallest rectangle with all of the ink; right and bottom are exclusive.
 * @param {number} width Of the picture.
 * @param {Uint8Array} ink
 */
function boxOf(width, ink) {
  const box = { left: width, top: ink.length, right: 0, bottom: 0 };
  for (let k = ink.indexOf(1); k >= 0; k = ink.indexOf(1, k + 1)) {
    const [x, y] = [k % width, Math.floor(k / width)];
    [box.left, box.right] = [Math.min(box.left, x), Math.max(box.right, x + 1)];
    [box.top, box.bottom] = [Math.min(box.top, y), Math.max(box.bottom, y + 1)];
  }
  return box;
}

/**
 * @param {Grey} grey
 * @param {{left: number, top: number, right: number, bottom: number}} box
 * @returns {Grey}
 */
function cropped({ width, data }, { left, top, right, bottom }) {
  const across = right - left;
  const inside = new Float32Array(across * (bottom - top));
  for (let y = top; y < bottom; y++) {
    inside.set(data.subarray(y * width + left, y * width + right), (y - top) * across);
  }
  return { width: across, height: bottom - top, data: inside };
}

/**
 * Bring the longer side to so many pixels.
 * @param {Grey} grey
 * @param {number} side
 * @returns {Grey}
 */
function resized(grey, side) {
  const scale = side / Math.max(grey.width, grey.height);
  const [width, height] = [grey.width, grey.height].map((length) =>
    Math.max(1, roundHalfEven(length * scale)),
  );
  return scale < 1 ? average(grey, width, height) : stretch(grey, width, height);
}

/**
 * Ink in 0 to 1, its full tone at 1, of a pen at least as wide as MNIST's; in FINE pixels.
 * @param {Grey} strokes
 * @returns {Grey}
 */
function thickened(strokes) {
  const { width, height, data } = strokes;
  const level = FULL_INK * highest(data);
  const full = percentile(data.filter((value) => value > level), 75);
  const toned = { width, height, data: data.map((value) => Math.min(1, Math.max(0, value / full))) };
  const inside = distances(width, height, (k) => data[k] > level);
  // Along the middle of a line the distance to its edge is half its width.
  const halfWidth = percentile(inside.filter((distance) => distance > 0), 90);
  const missing = roundHalfEven(FINE * MIN_PEN_WIDTH - 2 * halfWidth);
  return missing < 1 ? toned : dilated(toned, ellipse(missing + 1));
}

/**
 * How far each pixel is from the nearest that is none, by OpenCV's 5 by 5 chamfer distance: 1 straight,
 * 1.4 across a corner, 2.1969 a knight's move (Borgefors 1986). Beyond the edge is none.
 * @param {number} width
 * @param {number} height
 * @param {(k: number) => boolean} isInside
 * @returns {Float32Array} (height, width)
 */
function distances(width, height, isInside) {
  const wide = width + 4;
  const far = new Float32Array(wide * (height + 4));
  for (let k = 0; k < width * height; k++) {
    far[(2 + Math.floor(k / width)) * wide + 2 + (k % width)] = isInside(k) ? Infinity : 0;
  }
  const moves = [
    ...[-1, -wide].map((move) => [move, 1]),
    ...[-wide - 1, -wide + 1].map((move) => [move, 1.4]),
    ...[-wide - 2, -wide + 2, -2 * wide - 1, -2 * wide + 1].map((move) => [move, 2.1969]),
  ];
  const [first, last] = [2 * wide + 2, far.length - 2 * wide - 3];
  for (let k = first; k <= last; k++) {
    for (const [move, cost] of moves) far[k] = Math.min(far[k], far[k + move] + cost);
  }
  for (let k = last; k >= first; k--) {
    for (const [move, cost] of moves) far[k] = Math.min(far[k], far[k - move] + cost);
  }
  return Float32Array.from(
    { length: width * height },
    (_, k) => far[(2 + Math.floor(k / width)) * wide + 2 + (k % width)],
  );
}

/**
 * Put a box of ink where MNIST has it: its centre of mass at pixel 14, by a move of int(15 - centre).
 * @param {Uint8Array} box (20, 20)
 * @returns {Uint8Array} (28, 28)
 */
function placed(box) {
  let [total, x, y] = [0, 0, 0];
  box.forEach((mass, k) => {
    total += mass;
    x += mass * ((k % BOX_SIZE) + 0.5);
    y += mass * (Math.floor(k / BOX_SIZE) + 0.5);
  });
  const [left, top] = [x, y].map((sum) =>
    Math.min(SIDE - BOX_SIZE, Math.max(0, Math.trunc(15 - sum / Math.max(1, total)))),
  );
  const image = new Uint8Array(SIDE * SIDE);
  for (let row = 0; row < BOX_SIZE; row++) {
    image.set(box.subarray(row * BOX_SIZE, (row + 1) * BOX_SIZE), (top + row) * SIDE + left);
  }
  return image;
}

// Pictures, as OpenCV computes with them ------------------------------------------------------------

/**
 * A picture averaged down to so many pixels a side, if it has more.
 * @param {Grey} grey
 * @param {number} most
 * @returns {Grey}
 */
function shrink(grey, most) {
  return Math.max(grey.width, grey.height) > most ? resized(grey, most) : grey;
}

/**
 * Each pixel is the average of what it covers: along the rows, then along the columns.
 * @param {Grey} grey
 * @param {number} width
 * @param {number} height
 * @returns {Grey}
 */
function average(grey, width, height) {
  return transposed(averageAcross(transposed(averageAcross(grey, width)), height));
}

/**
 * @param {Grey} grey
 * @param {number} width
 * @returns {Grey}
 */
function averageAcross(grey, width) {
  const scale = grey.width / width;
  return fromRows(grey, width, (x, row) => {
    const [start, end] = [x * scale, (x + 1) * scale];
    let sum = 0;
    for (let k = Math.floor(start); k < Math.min(grey.width, Math.ceil(end)); k++) {
      sum += row[k] * (Math.min(k + 1, end) - Math.max(k, start));
    }
    return sum / scale;
  });
}

/**
 * Each pixel lies between those nearest to it, and is between them.
 * @param {Grey} grey
 * @param {number} width
 * @param {number} height
 * @returns {Grey}
 */
function stretch(grey, width, height) {
  return transposed(stretchAcross(transposed(stretchAcross(grey, width)), height));
}

/**
 * @param {Grey} grey
 * @param {number} width
 * @returns {Grey}
 */
function stretchAcross(grey, width) {
  const last = grey.width - 1;
  return fromRows(grey, width, (x, row) => {
    const at = Math.min(last, Math.max(0, ((x + 0.5) * grey.width) / width - 0.5));
    const left = Math.floor(at);
    return row[left] + (at - left) * (row[Math.min(last, left + 1)] - row[left]);
  });
}

/**
 * Make each row anew, of another width.
 * @param {Grey} grey
 * @param {number} width
 * @param {(x: number, row: Float32Array) => number} value
 * @returns {Grey}
 */
function fromRows(grey, width, value) {
  const data = new Float32Array(width * grey.height);
  for (let y = 0; y < grey.height; y++) {
    const row = grey.data.subarray(y * grey.width, (y + 1) * grey.width);
    for (let x = 0; x < width; x++) data[y * width + x] = value(x, row);
  }
  return { width, height: grey.height, data };
}

/**
 * @param {Grey} grey
 * @returns {Grey}
 */
function transposed({ width, height, data }) {
  const turned = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) turned[x * height + y] = data[y * width + x];
  }
  return { width: height, height: width, data: turned };
}

/**
 * Without what is lighter and narrower than a share of the longer side (a morphological opening).
 * @param {Grey} grey
 * @param {number} share
 * @returns {Grey}
 */
function opened(grey, share) {
  const reach = roundHalfEven(share * Math.max(grey.width, grey.height)) >> 1;
  return widened(negative(widened(negative(grey), reach)), reach);
}

/**
 * The highest value within a square around each pixel; the picture ends at its edges.
 * @param {Grey} grey
 * @param {number} reach Half the square's side.
 * @returns {Grey}
 */
function widened(grey, reach) {
  return transposed(widenedAcross(transposed(widenedAcross(grey, reach)), reach));
}

/**
 * @param {Grey} grey
 * @param {number} reach
 * @returns {Grey}
 */
function widenedAcross(grey, reach) {
  return fromRows(grey, grey.width, (x, row) => {
    let best = row[x];
    const end = Math.min(grey.width - 1, x + reach);
    for (let k = Math.max(0, x - reach); k <= end; k++) {
      if (row[k] > best) best = row[k];
    }
    return best;
  });
}

/**
 * The highest of the pixels at some moves from each; moves beyond the edge do not count.
 * @param {Grey} grey
 * @param {[number, number][]} moves To the right, and down.
 * @returns {Grey}
 */
function dilated({ width, height, data }, moves) {
  const best = data.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (const [right, down] of moves) {
        const [u, v] = [x + right, y + down];
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        best[y * width + x] = Math.max(best[y * width + x], data[v * width + u]);
      }
    }
  }
  return { width, height, data: best };
}

/**
 * Moves within an ellipse around a pixel, as OpenCV's getStructuringElement draws it.
 * @param {number} size
 * @returns {[number, number][]}
 */
function ellipse(size) {
  const radius = size >> 1;
  /** @type {[number, number][]} */
  const moves = [];
  for (let down = -radius; down < size - radius; down++) {
    const half = roundHalfEven(Math.sqrt(radius * radius - down * down));
    for (let right = -half; right <= Math.min(half, size - radius - 1); right++) moves.push([right, down]);
  }
  return moves;
}

/**
 * Blurred by a Gaussian; beyond the edge the picture is mirrored.
 * @param {Grey} grey
 * @param {number} spread In pixels.
 * @returns {Grey}
 */
function smoothed(grey, spread) {
  const reach = (roundHalfEven(8 * spread + 1) | 1) >> 1;
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / (2 * spread * spread)),
  );
  const sum = kernel.reduce((total, weight) => total + weight, 0);
  const blur = (/** @type {Grey} */ own) =>
    fromRows(own, own.width, (x, row) =>
      kernel.reduce((total, weight, k) => {
        const [at, last] = [Math.abs(x + k - reach), own.width - 1];
        return total + (weight / sum) * row[last - Math.abs(last - at)];
      }, 0),
    );
  return transposed(blur(transposed(blur(grey))));
}

/**
 * @param {Grey} one
 * @param {Grey} other Of the same size.
 * @returns {Grey}
 */
function minus({ width, height, data }, other) {
  return { width, height, data: data.map((value, k) => value - other.data[k]) };
}

/**
 * @param {Grey} grey
 * @returns {Grey}
 */
function negative({ width, height, data }) {
  return { width, height, data: data.map((value) => -value) };
}

/**
 * @param {Grey} grey
 * @returns {Grey} In whole numbers, as in pictures of 8 bits.
 */
function rounded({ width, height, data }) {
  return { width, height, data: data.map(roundHalfEven) };
}

/**
 * The same with paper at 0.
 * @param {Grey} light
 * @returns {Grey}
 */
function onPaper({ width, height, data }) {
  const level = median(paperOf(data));
  return { width, height, data: data.map((value) => value - level) };
}

// Numbers -------------------------------------------------------------------------------------------

/**
 * What is no ink: the darker of two classes.
 * @param {Float32Array} light
 */
function paperOf(light) {
  const level = threshold(light);
  return light.filter((value) => value <= level);
}

/**
 * How much of the values' variance lies between two classes, in 0 to 1 (Otsu 1979).
 * @param {Float32Array} values
 */
function separability(values) {
  const level = threshold(values);
  const bright = values.filter((value) => value > level);
  const share = bright.length / values.length;
  const middle = mean(values);
  const others = (middle - share * mean(bright)) / (1 - share);
  const variance = mean(values.map((value) => (value - middle) ** 2));
  return (share * (1 - share) * (mean(bright) - others) ** 2) / variance;
}

/**
 * Otsu's threshold between two classes of values. Written as OpenCV has it, its rounding too: between two
 * tones of a drawing every level divides equally well, and rounding decides.
 * @param {Float32Array} values
 */
function threshold(values) {
  const [low, high] = [lowest(values), highest(values)];
  if (high <= low) return high;
  const [counts, scale] = [new Float64Array(256), Math.fround(255 / (high - low))];
  for (const value of values) {
    counts[roundHalfEven(Math.fround(Math.fround(value - low) * scale))] += 1;
  }
  const middle = counts.reduce((sum, count, level) => sum + level * count, 0) / values.length;
  let [best, bestSpread, dark, darkMiddle] = [0, 0, 0, 0];
  counts.forEach((count, level) => {
    const share = count * (1 / values.length);
    darkMiddle *= dark;
    dark += share;
    const bright = 1 - dark;
    if (Math.min(dark, bright) < FLOAT_EPSILON) return;
    darkMiddle = (darkMiddle + level * share) / dark;
    const brightMiddle = (middle - dark * darkMiddle) / bright;
    const spread = dark * bright * (darkMiddle - brightMiddle) * (darkMiddle - brightMiddle);
    if (spread > bestSpread) [best, bestSpread] = [level, spread];
  });
  return low + ((best + 0.5) * (high - low)) / 255;
}

/** @param {Float32Array} values */
function lowest(values) {
  let best = Infinity;
  for (const value of values) if (value < best) best = value;
  return best;
}

/** @param {Float32Array} values */
function highest(values) {
  let best = -Infinity;
  for (const value of values) if (value > best) best = value;
  return best;
}

/** @param {Float32Array} values */
function range(values) {
  return highest(values) - lowest(values);
}

/** @param {Float32Array} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @param {Float32Array} values */
function median(values) {
  return percentile(values, 50);
}

/**
 * What a share of the values is below, between two of them as NumPy has it.
 * @param {Float32Array} values Not empty.
 * @param {number} percent
 */
function percentile(values, percent) {
  const sorted = values.slice().sort();
  const at = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(at);
  return sorted[below] + (at - below) * (sorted[Math.ceil(at)] - sorted[below]);
}

/**
 * @param {number[]} one
 * @param {number[]} other
 */
function dot(one, other) {
  return one.reduce((sum, value, k) => sum + value * other[k], 0);
}

/**
 * To the nearest whole number, halves to the even one, as Python, NumPy and OpenCV do.
 * @param {number} value
 */
function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return below + Number(rest > 0.5 || (rest === 0.5 && below % 2 !== 0));
}

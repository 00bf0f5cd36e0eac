// What is drawn, brought to the 28×28 pixels that the network reads, in MNIST's convention: the longer side
// of the ink is 20 pixels, its centre of mass lies at pixel 14, and the pen is as wide as MNIST's pens are.

/** A position x, y in sheet pixels, 0 to SHEET_SIDE. @typedef {[number, number]} Point */

/** Points along a line that the pen drew. @typedef {Point[]} Stroke */

/** Strokes of one pen, its width in sheet pixels. @typedef {{strokes: Stroke[], penWidth: number}} Drawing */

const BOX_SIZE = 20;
const MARGIN = (SIDE - BOX_SIZE) / 2;
// A pixel that the network reads is the average of CELL × CELL pixels of the sheet.
const CELL = 8;
const SHEET_SIDE = CELL * SIDE;
// MNIST's pens are 2 to 4 of its pixels wide.
const PEN_PIXELS = 2;
const PEN_WIDTH = CELL * PEN_PIXELS;
// Strokes belong to one digit where their overlap, from left to right, is more than this fraction of the narrower
// one's width. Ink below this fraction of the highest digit's height is no digit. See birnn_cli/reader/ink.py.
const [OVERLAP, DIGIT_HEIGHT] = [0.25, 0.5];

/**
 * The drawing that the network reads: the strokes moved and scaled so that their ink fills the box in the middle
 * of the sheet, and drawn anew with MNIST's pen, however small or large they were. As in
 * birnn_cli/reader/normalise.py, the shorter side is a whole number of pixels too.
 * @param {Stroke[]} strokes
 * @returns {Drawing}
 */
function fitToBox(strokes) {
  const { left, top, right, bottom } = boundsOf(strokes);
  const [width, height] = [right - left, bottom - top];
  const longer = Math.max(width, height);
  // What is smaller than the pen is a dot: its ink fills the box.
  const pen = longer < PEN_WIDTH ? BOX_SIZE : PEN_PIXELS;
  const scale = (BOX_SIZE - pen) / Math.max(1, longer);
  const [across, down] = [width, height].map((side) => Math.round(side * scale));
  const [startX, startY] = [across, down].map(
    (side) => MARGIN + pen / 2 + Math.floor((BOX_SIZE - pen - side) / 2),
  );
  const place = (/** @type {Point} */ [x, y]) => /** @type {Point} */ ([
    CELL * (startX + (across * (x - left)) / Math.max(1, width)),
    CELL * (startY + (down * (y - top)) / Math.max(1, height)),
  ]);
  return { strokes: strokes.map((stroke) => stroke.map(place)), penWidth: CELL * pen };
}

/**
 * The smallest rectangle around the points of strokes, in sheet pixels.
 * @param {Stroke[]} strokes
 */
function boundsOf(strokes) {
  const [xs, ys] = [0, 1].map((axis) => strokes.flatMap((stroke) => stroke.map((point) => point[axis])));
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  return { left, right, top: Math.min(...ys), bottom: Math.max(...ys) };
}

/**
 * Draw with a round pen.
 * @param {CanvasRenderingContext2D} context
 * @param {Drawing} drawing
 * @param {string} ink The colour.
 */
function drawInk(context, { strokes, penWidth }, ink) {
  Object.assign(context, { strokeStyle: ink, lineWidth: penWidth, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    const [x, y] = stroke[0];
    context.moveTo(x - 0.01, y); // a line of no length would draw nothing where the stroke is a dot
    for (const point of stroke) context.lineTo(...point);
    context.stroke();
  }
}

/**
 * A picture of a drawing, white on black, SHEET_SIDE wide and high.
 * @param {Drawing} drawing
 */
function renderSheet(drawing) {
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [SHEET_SIDE, SHEET_SIDE];
  const context = contextOf(sheet);
  context.fillRect(0, 0, SHEET_SIDE, SHEET_SIDE);
  drawInk(context, drawing, "#fff");
  return sheet;
}

/** @param {HTMLCanvasElement} canvas */
function contextOf(canvas) {
  const settings = { willReadFrequently: true };
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}

/**
 * The averages of the sheet's cells.
 * @param {HTMLCanvasElement} sheet
 * @returns {Uint8ClampedArray} Grey levels (28, 28).
 */
function averageCells(sheet) {
  const { data } = contextOf(sheet).getImageData(0, 0, SHEET_SIDE, SHEET_SIDE);
  const sums = new Float32Array(SIDE * SIDE);
  for (let k = 0; k < SHEET_SIDE * SHEET_SIDE; k++) {
    const [x, y] = [k % SHEET_SIDE, Math.floor(k / SHEET_SIDE)];
    sums[Math.floor(y / CELL) * SIDE + Math.floor(x / CELL)] += data[4 * k]; // red, as green and blue are
  }
  return Uint8ClampedArray.from(sums, (sum) => sum / (CELL * CELL));
}

/**
 * Move the box of ink so that it begins at pixel int(15 - b) on each axis, where b is its centre of mass, as
 * `centre_by_mass` in birnn_cli/reader/normalise.py does.
 * @param {Uint8ClampedArray} pixels (28, 28), the box in the middle, nothing around it.
 * @returns {Uint8ClampedArray} (28, 28)
 */
function centreByMass(pixels) {
  let [mass, x, y] = [0, 0, 0];
  pixels.forEach((level, k) => {
    mass += level;
    x += level * ((k % SIDE) + 0.5 - MARGIN);
    y += level * (Math.floor(k / SIDE) + 0.5 - MARGIN);
  });
  const [right, down] = [x, y].map(
    (sum) => Math.min(2 * MARGIN, Math.max(0, Math.trunc(15 - sum / mass))) - MARGIN,
  );
  // No move is longer than the margin: what would come in from another row is blank.
  return pixels.map((_, k) => pixels[k - down * SIDE - right] ?? 0);
}

/**
 * How many digits seem to be side by side.
 * @param {Stroke[]} strokes
 */
function countDigits(strokes) {
  /** @type {Stroke[][]} Strokes of one digit each. */
  let groups = [];
  for (const stroke of strokes) {
    const joined = groups.filter((group) => belongTogether(group.flat(), stroke));
    groups = [...groups.filter((group) => !joined.includes(group)), [...joined.flat(), stroke]];
  }
  const heights = groups.map(boundsOf).map(({ top, bottom }) => bottom - top + PEN_WIDTH);
  return heights.filter((height) => height >= DIGIT_HEIGHT * Math.max(...heights)).length;
}

/**
 * Whether the ink of two strokes touches, or one is above the other.
 * @param {Stroke} one
 * @param {Stroke} other
 */
function belongTogether(one, other) {
  const [a, b] = [boundsOf([one]), boundsOf([other])];
  const overlap = Math.min(a.right, b.right) - Math.max(a.left, b.left) + PEN_WIDTH;
  const narrower = Math.min(a.right - a.left, b.right - b.left) + PEN_WIDTH;
  if (overlap > OVERLAP * narrower) return true;
  return one.some(([x, y]) => other.some(([u, v]) => Math.hypot(x - u, y - v) < PEN_WIDTH));
}

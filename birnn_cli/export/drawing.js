// What is drawn, brought to the 28×28 pixels that the network reads, in MNIST's convention: the longer side
// of the ink is 20 pixels, its centre of mass lies at pixel 14, and the pen is as wide as MNIST's pens are.

// A point is [x, y] in sheet pixels, 0 to SHEET_SIDE; a stroke has the points along a line that the pen drew; a
// drawing is {strokes, penWidth}, the width in sheet pixels.

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
  const place = ([x, y]) => [
    CELL * (startX + (across * (x - left)) / Math.max(1, width)),
    CELL * (startY + (down * (y - top)) / Math.max(1, height)),
  ];
  return { strokes: strokes.map((stroke) => stroke.map(place)), penWidth: CELL * pen };
}

/** The smallest rectangle around the points of strokes, in sheet pixels. */
function boundsOf(strokes) {
  const [xs, ys] = [0, 1].map((axis) => strokes.flatMap((stroke) => stroke.map((point) => point[axis])));
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  return { left, right, top: Math.min(...ys), bottom: Math.max(...ys) };
}

/** Draw with a round pen; `ink` is the colour. */
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

/** A picture of a drawing, white on black, SHEET_SIDE wide and high. */
function renderSheet(drawing) {
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [SHEET_SIDE, SHEET_SIDE];
  const context = contextOf(sheet);
  context.fillRect(0, 0, SHEET_SIDE, SHEET_SIDE);
  drawInk(context, drawing, "#fff");
  return sheet;
}

function contextOf(canvas) {
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** The averages of the sheet's cells: grey levels (28, 28), 0 to 255. */
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
 * Move the box of ink, in the middle of `pixels` (28, 28), so that it begins at pixel int(15 - b) on each axis, where
 * b is its centre of mass, as `centre_by_mass` in birnn_cli/reader/normalise.py does.
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

/** How many digits seem to be side by side. */
function countDigits(strokes) {
  let groups = []; // the strokes of one digit each
  for (const stroke of strokes) {
    const joined = groups.filter((group) => belongTogether(group.flat(), stroke));
    groups = [...groups.filter((group) => !joined.includes(group)), [...joined.flat(), stroke]];
  }
  const heights = groups.map(boundsOf).map(({ top, bottom }) => bottom - top + PEN_WIDTH);
  return heights.filter((height) => height >= DIGIT_HEIGHT * Math.max(...heights)).length;
}

/** Whether the ink of two strokes touches, or one is above the other. */
function belongTogether(one, other) {
  const [a, b] = [boundsOf([one]), boundsOf([other])];
  const overlap = Math.min(a.right, b.right) - Math.max(a.left, b.left) + PEN_WIDTH;
  const narrower = Math.min(a.right - a.left, b.right - b.left) + PEN_WIDTH;
  if (overlap > OVERLAP * narrower) return true;
  return one.some(([x, y]) => other.some(([u, v]) => Math.hypot(x - u, y - v) < PEN_WIDTH));
}

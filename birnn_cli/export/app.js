// The page: what is drawn or loaded, what the network makes of it, row by row.

/**
 * What the page holds beside its scripts.
 * @typedef {{architecture: Architecture, classes: string[], reader: "digit" | "plain",
 *   unsure_below: number, recipe: string, dataset: string, accuracy: number | null,
 *   dtype: "float16" | "float32", weights: string}} Config
 */

/**
 * What was put on the sheet, last thing last. A picture or a cleared sheet hides all before it, and a
 * stroke hides a picture: undoing brings it back.
 * @typedef {{kind: "stroke", points: [number, number][]} | {kind: "blank"}
 *   | {kind: "picture", bitmap: ImageBitmap, grey: Grey}} Mark
 */

/**
 * A picture as the network reads it. `below[n]` is its answer to the first n rows alone, the rest blank;
 * `above[n]` to the last n; each found when it is first shown.
 * @typedef {{pixels: Uint8Array, rows: Float32Array, whole: Pass, below: Float32Array[],
 *   above: Float32Array[]}} Reading
 */

// Of the sheet that is read; what is seen of it is as large and as fine as the screen has it.
const SHEET_SIDE = 196;
const PEN_WIDTH = 14;
const [KEY_STEP, SMALL_KEY_STEP] = [10, 2];
// A larger picture is brought to it by the browser, as large photos are by `birnn predict`.
const MOST_SIDE = 1280;
const READING_MILLISECONDS = 1500;
// Of more classes the likeliest are shown.
const MOST_CLASSES = 12;

const config = /** @type {Config} */ (JSON.parse(find("network").textContent ?? ""));
const network = unpack(config.architecture, config.weights, config.dtype);
const stillness = matchMedia("(prefers-reduced-motion: reduce)");
const darkness = matchMedia("(prefers-color-scheme: dark)");

const canvas = /** @type {HTMLCanvasElement} */ (find("canvas"));
const slider = /** @type {HTMLInputElement} */ (find("step"));
const playButton = /** @type {HTMLButtonElement} */ (find("play"));

/** @type {Mark[]} */
const marks = [];
/** @type {Reading | null} */
let reading = null;
/** The stroke that is being drawn, by a pointer or by keys. */
let stroke = /** @type {{points: [number, number][], pointer: number | null} | null} */ (null);
const pen = { x: SHEET_SIDE / 2, y: SHEET_SIDE / 2 };
const arrows = new Set();
let isFrameAsked = false;
/** Changes whenever an animation begins or ends: an older one then stops. */
let animation = 0;

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function find(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

// The sheet -----------------------------------------------------------------------------------------

/**
 * What is to be seen: strokes, or a single picture, or nothing.
 * @returns {Mark[]}
 */
function visible() {
  const last = marks.at(-1);
  if (last?.kind === "picture") return [last];
  return marks.slice(marks.findLastIndex((mark) => mark.kind !== "stroke") + 1);
}

/**
 * Draw strokes with a round pen.
 * @param {CanvasRenderingContext2D} context
 * @param {number} side Of the canvas, in its own pixels.
 * @param {string} ink
 */
function drawStrokes(context, side, ink) {
  context.setTransform(side / SHEET_SIDE, 0, 0, side / SHEET_SIDE, 0, 0);
  Object.assign(context, { strokeStyle: ink, lineWidth: PEN_WIDTH, lineCap: "round", lineJoin: "round" });
  for (const mark of visible()) {
    if (mark.kind !== "stroke") continue;
    context.beginPath();
    context.moveTo(...mark.points[0]);
    // A line to where it begins is a dot.
    for (const point of mark.points) context.lineTo(...point);
    context.stroke();
  }
  context.resetTransform();
}

/** Show the sheet in the theme's colours. */
function paint() {
  const side = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  [canvas.width, canvas.height] = [side, side];
  const [first] = visible();
  if (first?.kind === "picture") {
    const scale = side / Math.max(first.bitmap.width, first.bitmap.height);
    const [width, height] = [first.bitmap.width * scale, first.bitmap.height * scale];
    context.imageSmoothingEnabled = scale < 4;
    context.drawImage(first.bitmap, (side - width) / 2, (side - height) / 2, width, height);
  } else {
    drawStrokes(context, side, getComputedStyle(canvas).color);
  }
}

/** The strokes alone, light on black in any theme: what `birnn predict` would be given. */
function sheet() {
  const own = document.createElement("canvas");
  [own.width, own.height] = [SHEET_SIDE, SHEET_SIDE];
  const context = contextToRead(own);
  context.fillRect(0, 0, SHEET_SIDE, SHEET_SIDE);
  drawStrokes(context, SHEET_SIDE, "#fff");
  return own;
}

/** @param {HTMLCanvasElement} own */
function contextToRead(own) {
  return /** @type {CanvasRenderingContext2D} */ (own.getContext("2d", { willReadFrequently: true }));
}

/**
 * @param {HTMLCanvasElement} own
 * @returns {Grey}
 */
function greyOf(own) {
  return toGrey(contextToRead(own).getImageData(0, 0, own.width, own.height));
}

/**
 * Any picture to the 28 by 28 that the network reads, as the network's own reader does it.
 * @param {Grey} grey
 * @returns {Uint8Array | null} Null where there is no ink.
 */
function readGrey(grey) {
  return config.reader === "digit" ? readDigit(grey) : readPlain(grey);
}

// Reading -------------------------------------------------------------------------------------------

/**
 * Read what is on the sheet.
 * @returns {Reading | null}
 */
function readSheet() {
  const [first] = visible();
  if (!first) return null;
  const pixels = readGrey(first.kind === "picture" ? first.grey : greyOf(sheet()));
  if (!pixels) return null;
  const rows = Float32Array.from(pixels, (level) => level / 255);
  return { pixels, rows, whole: run(network, rows), below: [], above: [] };
}

/**
 * The answers to the first and to the last rows alone.
 * @param {Reading} own
 * @param {number} count How many rows, 1 to 28.
 * @returns {{down: Float32Array, up: Float32Array}} Probabilities (num_classes).
 */
function partial(own, count) {
  if (count === SIDE) return { down: own.whole.probabilities, up: own.whole.probabilities };
  const [end, start] = [count * SIDE, (SIDE - count) * SIDE];
  own.below[count] ??= run(network, own.rows.map((value, k) => (k < end ? value : 0))).probabilities;
  own.above[count] ??= run(network, own.rows.map((value, k) => (k < start ? 0 : value))).probabilities;
  return { down: own.below[count], up: own.above[count] };
}

/** Read the sheet anew and show the answer at once; frames that come meanwhile are not waited for. */
function readLive() {
  if (isFrameAsked) return;
  isFrameAsked = true;
  requestAnimationFrame(() => {
    isFrameAsked = false;
    refresh();
  });
}

/** Read the sheet and show it with all rows read. */
function refresh() {
  stop();
  paint();
  reading = readSheet();
  showReading();
  showStep(SIDE);
}

/** What was being drawn or loaded is whole: say the answer, and read it again for all to see. */
function finish() {
  find("problem").textContent = "";
  refresh();
  find("status").textContent = find("answer").textContent;
  play();
}

// What is shown -------------------------------------------------------------------------------------

/**
 * 0.998 as `99.8 %`.
 * @param {number} share
 * @param {number} digits After the point.
 */
function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

/**
 * The class of the highest probability.
 * @param {Float32Array} probabilities
 */
function best(probabilities) {
  return probabilities.indexOf(Math.max(...probabilities));
}

/** Show everything that does not depend on how many rows are read. */
function showReading() {
  const label = reading && best(reading.whole.probabilities);
  const probability = reading && label !== null ? reading.whole.probabilities[label] : 0;
  const isUnsure = reading !== null && probability < config.unsure_below;
  find("answer").textContent =
    label === null ? "no ink" : `${config.classes[label]}${isUnsure ? "?" : ""} (${percent(probability)})`;
  find("doubt").textContent = isUnsure ? `unsure: below ${percent(config.unsure_below, 0)}` : "";
  for (const control of [slider, playButton]) control.disabled = !reading;
  find("down-mark").hidden = find("up-mark").hidden = !reading;
  showPixels();
  showClasses();
}

/** The 28 by 28 pixels. */
function showPixels() {
  const context = /** @type {CanvasRenderingContext2D} */ (
    /** @type {HTMLCanvasElement} */ (find("pixels")).getContext("2d")
  );
  const image = context.createImageData(SIDE, SIDE);
  reading?.pixels.forEach((level, k) => image.data.set([level, level, level, 255], 4 * k));
  context.putImageData(image, 0, 0);
}

/** A row of the table for each class, or for the likeliest: in the middle the class, bars on both sides. */
function showClasses() {
  const { classes } = config;
  let shown = classes.map((_, label) => label);
  if (shown.length > MOST_CLASSES) {
    const whole = reading?.whole.probabilities ?? new Float32Array(shown.length);
    shown = shown.sort((one, other) => whole[other] - whole[one]).slice(0, MOST_CLASSES);
    find("others").textContent = `The likeliest ${MOST_CLASSES} of ${classes.length} classes.`;
  }
  const table = find("classes");
  while (table.children.length < shown.length) table.append(emptyRow());
  shown.forEach((label, place) => {
    const row = /** @type {HTMLElement} */ (table.children[place]);
    row.dataset.label = String(label);
    /** @type {HTMLElement} */ (row.querySelector("th")).textContent = classes[label];
  });
}

/** @returns {HTMLTableRowElement} */
function emptyRow() {
  const template = /** @type {HTMLTemplateElement} */ (find("class-row"));
  return /** @type {HTMLTableRowElement} */ (template.content.firstElementChild?.cloneNode(true));
}

/**
 * Show how far the two directions are.
 * @param {number} count Rows read by each, 1 to 28.
 */
function showStep(count) {
  slider.value = String(count);
  slider.setAttribute("aria-valuetext", `${count} of ${SIDE} rows`);
  find("step-text").textContent = `${count} of ${SIDE}`;
  // Joined by what no line breaks at.
  find("down-rows").textContent = `Forward: rows\u00a01\u2060–\u2060${count}`;
  find("up-rows").textContent = `Backward: rows\u00a0${SIDE}\u2060–\u2060${SIDE + 1 - count}`;
  find("down-mark").style.setProperty("--at", String(count - 1));
  find("up-mark").style.setProperty("--at", String(SIDE - count));
  const answers = reading && partial(reading, count);
  const label = reading && best(reading.whole.probabilities);
  for (const row of /** @type {HTMLElement[]} */ ([...find("classes").children])) {
    const own = Number(row.dataset.label);
    row.classList.toggle("best", own === label);
    showBar(row, "down", answers && answers.down[own]);
    showBar(row, "up", answers && answers.up[own]);
  }
  showStates("down", 0, count);
  showStates("up", SIDE - count, SIDE);
}

/**
 * @param {HTMLElement} row
 * @param {"down" | "up"} direction
 * @param {number | null} share None without ink.
 */
function showBar(row, direction, share) {
  const cell = /** @type {HTMLElement} */ (row.querySelector(`.${direction}`));
  /** @type {HTMLElement} */ (cell.querySelector(".value")).textContent =
    share === null ? "–" : percent(share);
  cell.style.setProperty("--share", String(share ?? 0));
}

/**
 * A direction's outputs, a column a unit and a line a row: above zero in its colour, below in grey.
 * @param {"down" | "up"} direction
 * @param {number} start The first row read.
 * @param {number} end After the last.
 */
function showStates(direction, start, end) {
  const map = /** @type {HTMLCanvasElement} */ (find(direction));
  const context = /** @type {CanvasRenderingContext2D} */ (map.getContext("2d"));
  const width = config.architecture.hidden_size;
  if (map.width !== width) map.width = width;
  const image = context.createImageData(width, SIDE);
  const above = (getComputedStyle(map).color.match(/\d+/g) ?? []).slice(0, 3).map(Number);
  const states = reading?.whole[direction] ?? new Float32Array();
  for (let k = start * width; k < Math.min(end * width, states.length); k++) {
    // Most outputs are small: their square root is seen.
    image.data.set([...(states[k] > 0 ? above : [128, 128, 128]), 255 * Math.sqrt(Math.abs(states[k]))], 4 * k);
  }
  context.putImageData(image, 0, 0);
}

// Time ----------------------------------------------------------------------------------------------

/** Read the rows one after the other; where no motion is wanted they are read already. */
function play() {
  stop();
  if (!reading || stillness.matches) return;
  const own = animation;
  const started = performance.now();
  playButton.textContent = "Pause";
  const next = () => {
    if (own !== animation) return;
    // By the clock: where the network is slow, rows are left out, not time added.
    const share = (performance.now() - started) / READING_MILLISECONDS;
    const count = Math.min(SIDE, 1 + Math.floor(share * SIDE));
    if (count !== Number(slider.value) || count === 1) showStep(count);
    if (count === SIDE) stop();
    else requestAnimationFrame(next);
  };
  next();
}

/** Stay at the row that is shown. */
function stop() {
  animation += 1;
  playButton.textContent = "Play";
}

// Drawing -------------------------------------------------------------------------------------------

/**
 * Where on the sheet an event is.
 * @param {PointerEvent} event
 * @returns {[number, number]}
 */
function place(event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return [((event.clientX - left) * SHEET_SIDE) / width, ((event.clientY - top) * SHEET_SIDE) / height];
}

/**
 * @param {[number, number]} point
 * @param {number | null} pointer Null for the keyboard's pen.
 */
function beginStroke(point, pointer) {
  endStroke();
  stroke = { points: [point], pointer };
  marks.push({ kind: "stroke", points: stroke.points });
  readLive();
}

/** Lift the pen, if it is down. */
function endStroke() {
  if (!stroke) return;
  stroke = null;
  showPen();
  finish();
}

/** Take back the last thing done. */
function undo() {
  stroke = null;
  showPen();
  if (marks.pop()) finish();
}

/** Take an empty sheet. */
function clear() {
  stroke = null;
  showPen();
  if (visible().length) marks.push({ kind: "blank" });
  finish();
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || (stroke && stroke.pointer !== null)) return;
  canvas.setPointerCapture(event.pointerId);
  beginStroke(place(event), event.pointerId);
});

canvas.addEventListener("pointermove", (event) => {
  if (!stroke || stroke.pointer !== event.pointerId) return;
  const events = event.getCoalescedEvents?.() ?? [];
  stroke.points.push(...(events.length ? events : [event]).map(place));
  readLive();
});

for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => {
    if (stroke?.pointer === /** @type {PointerEvent} */ (event).pointerId) endStroke();
  });
}

/** Show where the keyboard's pen is, and whether it is down. */
function showPen() {
  const mark = find("pen");
  mark.style.left = `${(100 * pen.x) / SHEET_SIDE}%`;
  mark.style.top = `${(100 * pen.y) / SHEET_SIDE}%`;
  mark.classList.toggle("is-down", stroke !== null && stroke.pointer === null);
}

/** @param {number} step How far each arrow key that is held moves the pen. */
function movePen(step) {
  const along = (/** @type {string} */ more, /** @type {string} */ less) =>
    step * (Number(arrows.has(more)) - Number(arrows.has(less)));
  pen.x = Math.min(SHEET_SIDE, Math.max(0, pen.x + along("ArrowRight", "ArrowLeft")));
  pen.y = Math.min(SHEET_SIDE, Math.max(0, pen.y + along("ArrowDown", "ArrowUp")));
  showPen();
  if (stroke?.pointer !== null) return;
  stroke.points.push([pen.x, pen.y]);
  readLive();
}

canvas.addEventListener("keydown", (event) => {
  if (event.key.startsWith("Arrow")) {
    arrows.add(event.key);
    movePen(event.shiftKey ? SMALL_KEY_STEP : KEY_STEP);
  } else if (event.key === " ") {
    if (stroke) endStroke();
    else if (!event.repeat) beginStroke([pen.x, pen.y], null);
    showPen();
  } else {
    return;
  }
  event.preventDefault();
});

canvas.addEventListener("keyup", (event) => arrows.delete(event.key));

canvas.addEventListener("focus", () => {
  find("pen").hidden = !canvas.matches(":focus-visible");
});

canvas.addEventListener("blur", () => {
  find("pen").hidden = true;
  arrows.clear();
  if (stroke?.pointer === null) endStroke();
});

// Pictures ------------------------------------------------------------------------------------------

/**
 * Put a picture on the sheet.
 * @param {File | undefined} file
 */
async function load(file) {
  if (!file) return;
  try {
    // Colours as they are in the file, as `birnn predict` takes them.
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
    const own = document.createElement("canvas");
    own.width = Math.max(1, Math.round(bitmap.width * scale));
    own.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = contextToRead(own);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, own.width, own.height);
    marks.push({ kind: "picture", bitmap, grey: greyOf(own) });
    finish();
  } catch {
    find("problem").textContent =
      `${file.name} cannot be read as a picture, expected PNG, JPEG, BMP, GIF or WebP`;
  }
}

const input = /** @type {HTMLInputElement} */ (find("file"));
input.addEventListener("change", async () => {
  await load(input.files?.[0]);
  input.value = ""; // so that the same file can be chosen again
});

document.addEventListener("paste", (event) => load(event.clipboardData?.files[0]));

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});

document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});

document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  load(event.dataTransfer?.files[0]);
});

// Everything else -----------------------------------------------------------------------------------

find("undo").addEventListener("click", undo);
find("clear").addEventListener("click", clear);

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "z" || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  undo();
});

playButton.addEventListener("click", () => (playButton.textContent === "Pause" ? stop() : play()));

slider.addEventListener("input", () => {
  stop();
  showStep(Number(slider.value));
});

stillness.addEventListener("change", showMotion);

/** Where no motion is wanted, rows are gone through by hand alone. */
function showMotion() {
  playButton.hidden = stillness.matches;
  if (stillness.matches && reading) {
    stop();
    showStep(SIDE);
  }
}

// Colours are painted, not styled: paint them anew where the theme or the size changes.
darkness.addEventListener("change", () => {
  paint();
  showStep(Number(slider.value));
});
new ResizeObserver(paint).observe(canvas);

/** Say what this network is, and how it reads. */
function introduce() {
  const { architecture, classes, recipe, dataset, accuracy } = config;
  const layers = architecture.num_layers === 1 ? "one layer" : `${architecture.num_layers} layers`;
  find("about").textContent =
    `Recipe ${recipe}: ${layers} of ${architecture.hidden_size} units a direction, trained on ${dataset}` +
    (accuracy === null ? "." : `; ${percent(accuracy, 2)} right on the validation images.`);
  const longest = Math.max(...classes.map((name) => name.length));
  document.body.style.setProperty("--longest", String(longest));
  if (classes.every((name) => /^\d$/.test(name))) find("draw-title").textContent = "Draw a digit";
  const step = architecture.columns ? "a row of pixels, and the column of the same number," : "a row of pixels";
  const made = {
    last: "what both put out at the last row, the first that the backward one reads",
    states: "what both remember after all rows",
    pool: "the mean and the highest of what both put out at each row",
  };
  find("how").textContent =
    `The network reads ${step} at a time and keeps a small memory of what it has read: its forward half from ` +
    "the first row down, its backward half from the last row up. The maps beside the picture show what " +
    "the two put out in the first layer: a column is a unit, coloured where it is above zero, grey where it " +
    `is below. The answer, a probability for each class, is made of ${made[architecture.readout]}. The bars ` +
    "are the network's answers to the rows read so far, with the others blank.";
}

introduce();
showMotion();
showPen();
refresh();

/**
 * For tests and for the curious, in the browser's console:
 * `read(picture)` takes ImageData and gives the (28, 28) that the network reads, or null;
 * `probabilities(rows)` takes (28, 28) numbers in 0 to 1; `sheet()` gives the drawing as a data URL of
 * the PNG that `birnn predict` answers alike.
 */
Object.assign(window, {
  birnn: Object.freeze({
    read: (/** @type {ImageData} */ picture) => readGrey(toGrey(picture)),
    probabilities: (/** @type {ArrayLike<number>} */ rows) =>
      run(network, Float32Array.from(rows)).probabilities,
    sheet: () => sheet().toDataURL(),
  }),
});

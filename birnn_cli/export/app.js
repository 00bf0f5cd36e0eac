// The page: what is drawn, and what the network reads in it, row by row.

// How far an arrow key moves the pen, in sheet pixels: alone, and with Shift.
const [KEY_STEP, SMALL_KEY_STEP] = [12, 2];
const PLAY_MILLISECONDS = 1500;
// Of more classes only the likeliest are shown.
const MAX_CLASSES_SHOWN = 12;
// A 3 of two bows, with which the page of a network for digits begins. The first stroke takes its place.
const EXAMPLE = [[...bow(72, 36, -150, 90), ...bow(149, 41, -90, 150)]];

/** Points along a circle in the middle of the sheet, clockwise; angles are in degrees, 0 is at the right. */
function bow(y, radius, start, end) {
  return Array.from({ length: 31 }, (_, k) => {
    const angle = ((start + ((end - start) * k) / 30) * Math.PI) / 180;
    return [SHEET_SIDE / 2 + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  });
}

const find = (id) => document.getElementById(id);
// What `birnn export` writes into the page: see `to_html` in page.py.
const config = JSON.parse(find("network").textContent);
const network = { architecture: config.architecture, arrays: unpack(config) };
const isForDigits = config.classes.every((name) => /^\d$/.test(name));
const [canvas, slider, playButton] = ["canvas", "step", "play"].map(find);

let strokes = isForDigits ? EXAMPLE : [];
// The strokes that were on the sheet before each change.
const undoStack = [];
// The stroke that a pen is drawing, {stroke, pen}; the pen is a pointer's number, or "keyboard"; or null.
let current = null;
const keyboardPen = { x: SHEET_SIDE / 2, y: SHEET_SIDE / 2 };
const arrowsHeld = new Set();
// The drawing as the network reads it, `pixels` (28, 28) in 0 to 1, with what `run` makes of it, and the index of
// the likeliest class, `label`; null where nothing is drawn.
let reading = null;
// The request for the next frame, in which the drawing is read as far as it goes, or the next row is played.
let nextFrame = 0;

// Reading -------------------------------------------------------------------------------------------

/** The picture that is read, here and by `birnn predict`. */
function sheet() {
  return renderSheet(config.reader === "digit" ? fitToBox(strokes) : { strokes, penWidth: PEN_WIDTH });
}

/** Read what is drawn, if anything is. */
function read() {
  if (!strokes.length) return null;
  const cells = averageCells(sheet());
  const levels = config.reader === "digit" ? centreByMass(cells) : cells;
  const pixels = Float32Array.from(levels, (level) => level / 255);
  const pass = run(network, pixels);
  return { ...pass, pixels, label: pass.probabilities.indexOf(Math.max(...pass.probabilities)) };
}

/** The probabilities from the first `count` rows alone, and from the last ones; the others are blank. */
function probabilitiesAfter(count) {
  if (count === SIDE) return { forward: reading.probabilities, backward: reading.probabilities };
  const first = reading.pixels.slice().fill(0, count * SIDE);
  const last = reading.pixels.slice().fill(0, 0, (SIDE - count) * SIDE);
  return { forward: run(network, first).probabilities, backward: run(network, last).probabilities };
}

/** Read the drawing while it grows, at most once a frame. */
function readSoon() {
  stop();
  nextFrame = requestAnimationFrame(refresh);
}

/** Show the drawing, and what is read when all rows are. */
function refresh() {
  stop();
  paint();
  reading = read();
  showReading();
  showStep(SIDE);
}

/** The drawing has changed and the pen is up: say the answer, and play how it is read. */
function finish() {
  refresh();
  find("status").textContent = `${find("answer").textContent} ${find("note").textContent}`.trim();
  play();
}

// What is shown -------------------------------------------------------------------------------------

/** Show the drawing in the theme's colours, as fine as the screen is, and the keyboard's pen. */
function paint() {
  const side = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
  [canvas.width, canvas.height] = [side, side];
  const context = contextOf(canvas);
  context.scale(side / SHEET_SIDE, side / SHEET_SIDE);
  drawInk(context, { strokes, penWidth: PEN_WIDTH }, getComputedStyle(canvas).color);
  find("example").hidden = strokes !== EXAMPLE;
  showKeyboardPen();
}

/** 0.998 as `99.8 %`. */
function percent(fraction, decimals = 1) {
  return `${(100 * fraction).toFixed(decimals)} %`;
}

/** Show all that does not depend on how many rows are read. */
function showReading() {
  let [answer, notes] = ["no ink", []];
  if (reading) {
    const probability = reading.probabilities[reading.label];
    const isUnsure = probability < config.unsure_below;
    answer = `${config.classes[reading.label]}${isUnsure ? "?" : ""} (${percent(probability)})`;
    if (isUnsure) notes.push(`Unsure: below ${percent(config.unsure_below, 0)}.`);
  }
  if (config.reader === "digit" && countDigits(strokes) > 1) {
    notes.push("This looks like several digits; the network reads one at a time.");
  }
  find("answer").textContent = answer;
  find("note").textContent = notes.join(" ");
  for (const control of [slider, playButton]) control.disabled = !reading;
  find("marks").hidden = !reading;
  const image = new ImageData(SIDE, SIDE);
  reading?.pixels.forEach((value, k) => image.data.set([255 * value, 255 * value, 255 * value, 255], 4 * k));
  contextOf(find("pixels")).putImageData(image, 0, 0);
  showClasses();
}

/** Name the classes, or the likeliest of them: each is a row of the table. */
function showClasses() {
  let labels = config.classes.map((_, label) => label);
  if (labels.length > MAX_CLASSES_SHOWN) {
    if (reading) labels.sort((one, other) => reading.probabilities[other] - reading.probabilities[one]);
    labels = labels.slice(0, MAX_CLASSES_SHOWN);
  }
  const rows = labels.map((label) => {
    const row = find("class-row").content.firstElementChild.cloneNode(true);
    row.dataset.label = label;
    row.classList.toggle("best", label === reading?.label);
    row.querySelector("th").textContent = config.classes[label];
    return row;
  });
  find("classes").replaceChildren(...rows);
}

/** Show how far the two directions have read: `count` rows each, 1 to 28. */
function showStep(count) {
  slider.value = count;
  slider.ariaValueText = `${count} of ${SIDE} rows`;
  find("step-text").textContent = `${count} of ${SIDE}`;
  find("forward-rows").textContent = `Forward\nrows 0–${count - 1}`;
  find("backward-rows").textContent = `Backward\nrows ${SIDE - count}–${SIDE - 1}`;
  find("forward-mark").style.setProperty("--row-number", count - 1);
  find("backward-mark").style.setProperty("--row-number", SIDE - count);
  const probabilities = reading && probabilitiesAfter(count);
  for (const row of find("classes").children) {
    for (const direction of ["forward", "backward"]) {
      const probability = probabilities?.[direction][row.dataset.label];
      row.querySelector(`.${direction} .value`).textContent = reading ? percent(probability) : "–";
      row.querySelector(`.${direction}`).style.setProperty("--probability", probability ?? 0);
    }
  }
  showHiddenStates("forward", 0, count);
  showHiddenStates("backward", SIDE - count, SIDE);
}

/**
 * Show a direction's hidden states from row `start` to before row `end`: a column is a unit, a line a row of the
 * picture. What is above zero has the direction's colour, what is below is grey.
 */
function showHiddenStates(direction, start, end) {
  const map = find(direction);
  map.width = config.architecture.hidden_size; // and blank
  if (!reading) return;
  const image = new ImageData(map.width, SIDE);
  const colour = getComputedStyle(map).color.match(/\d+/g).slice(0, 3);
  for (let row = start; row < end; row++) {
    reading[direction][row].forEach((state, unit) => {
      // Most values are near zero: the square root makes them visible.
      const opacity = 255 * Math.sqrt(Math.abs(state));
      image.data.set([...(state > 0 ? colour : [128, 128, 128]), opacity], 4 * (row * map.width + unit));
    });
  }
  contextOf(map).putImageData(image, 0, 0);
}

// Playing -------------------------------------------------------------------------------------------

/** Show the rows being read one after the other. Where less motion is wanted only the slider shows the steps. */
function play() {
  stop();
  if (!reading || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const started = performance.now();
  playButton.textContent = "Pause";
  const showNext = () => {
    // By the clock: on a slow machine steps are left out, and it takes no longer.
    const progress = (performance.now() - started) / PLAY_MILLISECONDS;
    const count = Math.min(SIDE, 1 + Math.floor(progress * SIDE));
    if (count !== Number(slider.value)) showStep(count);
    if (count === SIDE) stop();
    else nextFrame = requestAnimationFrame(showNext);
  };
  showNext();
}

/** Stay at the step that is shown. */
function stop() {
  cancelAnimationFrame(nextFrame);
  playButton.textContent = "Play";
}

playButton.addEventListener("click", () => (playButton.textContent === "Pause" ? stop() : play()));

slider.addEventListener("input", () => {
  stop();
  showStep(Number(slider.value));
});

// Drawing -------------------------------------------------------------------------------------------

/** Put a pen down at a point [x, y] of the sheet. */
function beginStroke(point, pen) {
  endStroke();
  current = { stroke: [point], pen };
  undoStack.push(strokes);
  strokes = [...(strokes === EXAMPLE ? [] : strokes), current.stroke];
  readSoon();
}

/** Lift the pen, if it is down. */
function endStroke() {
  if (!current) return;
  current = null;
  finish();
}

/** Take back the last stroke or the last clearing. */
function undo() {
  if (!undoStack.length) return;
  [strokes, current] = [undoStack.pop(), null];
  finish();
}

/** Take an empty sheet. */
function clear() {
  if (strokes.length) undoStack.push(strokes);
  [strokes, current] = [[], null];
  finish();
}

function clampToSheet(value) {
  return Math.min(SHEET_SIDE, Math.max(0, value));
}

/** Where on the sheet a pointer is. */
function pointOf({ clientX, clientY }) {
  const { left, top, width } = canvas.getBoundingClientRect();
  return [clientX - left, clientY - top].map((distance) => clampToSheet((distance * SHEET_SIDE) / width));
}

canvas.addEventListener("pointerdown", (event) => {
  // One pointer at a time: a second finger draws nothing.
  if (event.button !== 0 || (current && current.pen !== "keyboard")) return;
  canvas.setPointerCapture(event.pointerId);
  beginStroke(pointOf(event), event.pointerId);
});

canvas.addEventListener("pointermove", (event) => {
  if (current?.pen !== event.pointerId) return;
  const events = event.getCoalescedEvents?.() ?? [];
  current.stroke.push(...(events.length ? events : [event]).map(pointOf));
  readSoon();
});

for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => {
    if (current?.pen === event.pointerId) endStroke();
  });
}

/** Show where the keyboard's pen is, and whether it is down. */
function showKeyboardPen() {
  const mark = find("pen");
  mark.style.left = `${(100 * keyboardPen.x) / SHEET_SIDE}%`;
  mark.style.top = `${(100 * keyboardPen.y) / SHEET_SIDE}%`;
  mark.classList.toggle("is-down", current?.pen === "keyboard");
}

/** Move the keyboard's pen by `step` sheet pixels in the direction of each arrow key that is held. */
function moveKeyboardPen(step) {
  const held = (key) => Number(arrowsHeld.has(key));
  keyboardPen.x = clampToSheet(keyboardPen.x + step * (held("ArrowRight") - held("ArrowLeft")));
  keyboardPen.y = clampToSheet(keyboardPen.y + step * (held("ArrowDown") - held("ArrowUp")));
  if (current?.pen !== "keyboard") return;
  current.stroke.push([keyboardPen.x, keyboardPen.y]);
  readSoon();
}

canvas.addEventListener("keydown", (event) => {
  if (event.key.startsWith("Arrow")) {
    arrowsHeld.add(event.key);
    moveKeyboardPen(event.shiftKey ? SMALL_KEY_STEP : KEY_STEP);
  } else if (event.key === " ") {
    if (current) endStroke();
    else if (!event.repeat) beginStroke([keyboardPen.x, keyboardPen.y], "keyboard");
  } else {
    return;
  }
  event.preventDefault();
  showKeyboardPen();
});

canvas.addEventListener("keyup", (event) => arrowsHeld.delete(event.key));

canvas.addEventListener("blur", () => {
  arrowsHeld.clear();
  if (current?.pen === "keyboard") endStroke();
});

find("undo").addEventListener("click", undo);
find("clear").addEventListener("click", clear);

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "z" || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  undo();
});

// The page ------------------------------------------------------------------------------------------

/** Say what this network is, and how it reads. */
function introduce() {
  const { architecture, classes, recipe, dataset, accuracy } = config;
  const layers = architecture.num_layers === 1 ? "one layer" : `${architecture.num_layers} layers`;
  find("about").textContent =
    `Recipe ${recipe}: ${layers} of ${architecture.hidden_size} units per direction, trained on ${dataset}` +
    (accuracy === null ? "." : `; ${percent(accuracy, 2)} of the validation images read correctly.`);
  if (isForDigits) find("draw-title").textContent = "Draw a digit";
  const longest = Math.max(...classes.map((name) => name.length));
  document.body.style.setProperty("--longest-name", longest);
  if (classes.length > MAX_CLASSES_SHOWN) {
    find("others").textContent = `The likeliest ${MAX_CLASSES_SHOWN} of ${classes.length} classes.`;
  }
  find("columns").hidden = !architecture.columns;
  find("readout").textContent = {
    last: "the hidden states of both LSTMs at the last row, where the backward LSTM begins",
    states: "the hidden states of both LSTMs after all rows",
    pool: "the mean and the maximum of each hidden unit over all rows",
  }[architecture.readout];
}

// Colours are painted, not styled: paint again where the theme or the size changes.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  paint();
  showStep(Number(slider.value));
});
new ResizeObserver(paint).observe(canvas);

introduce();
refresh();
play();

// For tests, and for the curious in the browser's console: `probabilities(pixels)` takes (28, 28) numbers in 0 to 1;
// `pixels()` gives the (28, 28) that are read, in 0 to 255, or null; `sheet()` gives the drawing as the data URL of a
// PNG that `birnn predict` reads as this page does.
window.birnn = {
  probabilities: (pixels) => run(network, Float32Array.from(pixels)).probabilities,
  pixels: () => reading && Array.from(reading.pixels, (value) => Math.round(255 * value)),
  sheet: () => sheet().toDataURL(),
};

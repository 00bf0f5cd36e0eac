// The network's forward pass: the same function as birnn_cli/network/numpy_engine.py, over the same arrays.
// The page's scripts are joined into one module, so that they share their names.

/**
 * What a network is made of, as `Architecture` in Python has it.
 * @typedef {{num_classes: number, hidden_size: number, num_layers: number,
 *   readout: "last" | "states" | "pool", forget_bias: number, columns: boolean}} Architecture
 */

/**
 * @typedef {{architecture: Architecture, arrays: Map<string, Float32Array>}} Network
 */

/**
 * One pass over a picture. `down` and `up` are the first layer's outputs, (28, hidden_size) each, at
 * every row: those of the forward LSTM know the rows above alone, those of the backward one those below.
 * @typedef {{probabilities: Float32Array, down: Float32Array, up: Float32Array}} Pass
 */

const SIDE = 28;

/**
 * Name and shape of every array, in the order in which the page holds them.
 * @param {Architecture} architecture
 * @returns {[string, number[]][]}
 */
function parameterShapes({ num_classes, hidden_size, num_layers, readout, columns }) {
  /** @type {[string, number[]][]} */
  const shapes = [];
  for (let layer = 0; layer < num_layers; layer++) {
    const inputs = layer > 0 ? 2 * hidden_size : columns ? 2 * SIDE : SIDE;
    for (const direction of ["fw", "bw"]) {
      const name = `layers.${layer}.${direction}`;
      shapes.push([`${name}.weight_ih`, [4 * hidden_size, inputs]]);
      shapes.push([`${name}.weight_hh`, [4 * hidden_size, hidden_size]]);
      shapes.push([`${name}.bias`, [4 * hidden_size]]);
    }
  }
  const features = (readout === "pool" ? 4 : 2) * hidden_size;
  shapes.push(["head.weight", [num_classes, features]], ["head.bias", [num_classes]]);
  return shapes;
}

/**
 * Unpack a network.
 * @param {Architecture} architecture
 * @param {string} weights All arrays one after the other, little-endian, in base64.
 * @param {"float16" | "float32"} dtype
 * @returns {Network}
 */
function unpack(architecture, weights, dtype) {
  const bytes = Uint8Array.from(atob(weights), (character) => character.charCodeAt(0));
  const values = dtype === "float16" ? fromHalves(bytes) : fromSingles(bytes);
  const arrays = new Map();
  let start = 0;
  for (const [name, shape] of parameterShapes(architecture)) {
    const size = shape.reduce((product, length) => product * length, 1);
    arrays.set(name, values.slice(start, start + size));
    start += size;
  }
  addForgetBias(architecture, arrays);
  return { architecture, arrays };
}

/**
 * The forget gate is the second of the four; its constant joins the trained bias once and for all.
 * @param {Architecture} architecture
 * @param {Map<string, Float32Array>} arrays Changed in place.
 */
function addForgetBias({ hidden_size, forget_bias }, arrays) {
  for (const [name, array] of arrays) {
    if (!name.startsWith("layers.") || !name.endsWith(".bias")) continue;
    for (let unit = hidden_size; unit < 2 * hidden_size; unit++) array[unit] += forget_bias;
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Float32Array}
 */
function fromSingles(bytes) {
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, k) => view.getFloat32(4 * k, true));
}

/**
 * IEEE 754 half precision: 1 bit of sign, 5 of exponent, 10 of fraction. Not every browser knows it.
 * @param {Uint8Array} bytes
 * @returns {Float32Array}
 */
function fromHalves(bytes) {
  const values = new Float32Array(bytes.length / 2);
  for (let k = 0; k < values.length; k++) {
    const half = bytes[2 * k] | (bytes[2 * k + 1] << 8);
    const exponent = (half >> 10) & 31;
    const fraction = (half & 1023) / 1024;
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
    values[k] = half >> 15 ? -size : size;
  }
  return values;
}

/**
 * Read a picture.
 * @param {Network} network
 * @param {Float32Array} rows (28, 28) in 0 to 1.
 * @returns {Pass}
 */
function run(network, rows) {
  const { num_layers, hidden_size } = network.architecture;
  let sequence = network.architecture.columns ? withColumns(rows) : rows;
  /** @type {{down: Float32Array, up: Float32Array} | undefined} */
  let first;
  for (let layer = 0; layer < num_layers; layer++) {
    const down = lstm(network, `layers.${layer}.fw`, sequence, false);
    const up = lstm(network, `layers.${layer}.bw`, sequence, true);
    first ??= { down, up };
    sequence = sideBySide(down, up, hidden_size);
  }
  const logits = head(network, readOut(network.architecture, sequence));
  return { .../** @type {Pass} */ (first), probabilities: softmax(logits) };
}

/**
 * Step t reads row t and, behind it, column t.
 * @param {Float32Array} rows (28, 28)
 * @returns {Float32Array} (28, 56)
 */
function withColumns(rows) {
  const columns = new Float32Array(SIDE * SIDE);
  for (let k = 0; k < columns.length; k++) columns[k] = rows[(k % SIDE) * SIDE + Math.floor(k / SIDE)];
  return sideBySide(rows, columns, SIDE);
}

/**
 * @param {Float32Array} left (28, width)
 * @param {Float32Array} right (28, width)
 * @param {number} width
 * @returns {Float32Array} (28, 2 width)
 */
function sideBySide(left, right, width) {
  const joined = new Float32Array(2 * SIDE * width);
  for (let row = 0; row < SIDE; row++) {
    joined.set(left.subarray(row * width, (row + 1) * width), 2 * row * width);
    joined.set(right.subarray(row * width, (row + 1) * width), (2 * row + 1) * width);
  }
  return joined;
}

/**
 * One direction over all rows, from zero states.
 * @param {Network} network
 * @param {string} name Of the direction's arrays, such as `layers.0.fw`.
 * @param {Float32Array} sequence (28, inputs)
 * @param {boolean} isUp From the last row to the first.
 * @returns {Float32Array} Outputs (28, hidden_size), each at the row that it was made at.
 */
function lstm({ architecture, arrays }, name, sequence, isUp) {
  const size = architecture.hidden_size;
  const ofInput = /** @type {Float32Array} */ (arrays.get(`${name}.weight_ih`));
  const ofOutput = /** @type {Float32Array} */ (arrays.get(`${name}.weight_hh`));
  const bias = /** @type {Float32Array} */ (arrays.get(`${name}.bias`));
  const inputs = sequence.length / SIDE;
  const outputs = new Float32Array(SIDE * size);
  const cell = new Float32Array(size);
  const gates = new Float32Array(4 * size);
  let output = new Float32Array(size);
  for (let step = 0; step < SIDE; step++) {
    const row = isUp ? SIDE - 1 - step : step;
    gates.set(bias);
    addProduct(gates, ofInput, sequence.subarray(row * inputs, (row + 1) * inputs));
    if (step > 0) addProduct(gates, ofOutput, output);
    output = outputs.subarray(row * size, (row + 1) * size);
    for (let unit = 0; unit < size; unit++) {
      const [i, f] = [sigmoid(gates[unit]), sigmoid(gates[size + unit])];
      const [g, o] = [Math.tanh(gates[2 * size + unit]), sigmoid(gates[3 * size + unit])];
      cell[unit] = f * cell[unit] + i * g;
      output[unit] = o * Math.tanh(cell[unit]);
    }
  }
  return outputs;
}

/**
 * Add the product of a matrix and a vector. Nearly all of the time goes here: four rows at once share
 * what they read of the vector, and their sums do not wait for each other.
 * @param {Float32Array} sums (rows), changed in place; rows is a multiple of four.
 * @param {Float32Array} matrix (rows, columns)
 * @param {Float32Array} vector (columns)
 */
function addProduct(sums, matrix, vector) {
  const columns = vector.length;
  for (let row = 0; row < sums.length; row += 4) {
    let [a, b, c, d] = [0, 0, 0, 0];
    let at = row * columns;
    for (let column = 0; column < columns; column++, at++) {
      const value = vector[column];
      a += matrix[at] * value;
      b += matrix[at + columns] * value;
      c += matrix[at + 2 * columns] * value;
      d += matrix[at + 3 * columns] * value;
    }
    sums[row] += a;
    sums[row + 1] += b;
    sums[row + 2] += c;
    sums[row + 3] += d;
  }
}

/**
 * What the head sees of the top layer's outputs.
 * @param {Architecture} architecture
 * @param {Float32Array} sequence (28, 2 hidden_size)
 * @returns {Float32Array} (2 hidden_size), or (4 hidden_size) for `pool`: means, then maxima.
 */
function readOut({ readout, hidden_size }, sequence) {
  const width = 2 * hidden_size;
  const last = sequence.slice((SIDE - 1) * width);
  if (readout === "last") return last;
  if (readout === "states") {
    last.set(sequence.subarray(hidden_size, width), hidden_size);
    return last;
  }
  const features = new Float32Array(2 * width).fill(-Infinity, width);
  for (let k = 0; k < sequence.length; k++) {
    const unit = k % width;
    features[unit] += sequence[k] / SIDE;
    features[width + unit] = Math.max(features[width + unit], sequence[k]);
  }
  return features;
}

/**
 * @param {Network} network
 * @param {Float32Array} features
 * @returns {Float32Array} Logits (num_classes)
 */
function head({ arrays }, features) {
  const weight = /** @type {Float32Array} */ (arrays.get("head.weight"));
  const bias = /** @type {Float32Array} */ (arrays.get("head.bias"));
  return bias.map((start, label) =>
    features.reduce((sum, feature, k) => sum + weight[label * features.length + k] * feature, start),
  );
}

/**
 * @param {Float32Array} logits
 * @returns {Float32Array} Of the same length, summing to 1.
 */
function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** @param {number} x */
function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

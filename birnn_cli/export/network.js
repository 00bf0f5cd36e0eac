// The network: the same function as `probabilities(logits(...))` of birnn_cli/network/numpy_engine.py, over
// the same arrays. The page's scripts are joined into one module, so that they share their names.

/**
 * The shape of a network, as `Architecture` in birnn_cli/network/architecture.py has it.
 * @typedef {{num_classes: number, hidden_size: number, num_layers: number,
 *   readout: "last" | "states" | "pool", forget_bias: number, columns: boolean}} Architecture
 */

/**
 * @typedef {{architecture: Architecture, arrays: Map<string, Float32Array>}} Network
 */

/**
 * What the network makes of a picture. `forward` and `backward` are the first layer's hidden states,
 * (28, hidden_size) each: at each row, the forward LSTM has read this row and those above it, the backward
 * LSTM this row and those below it.
 * @typedef {{probabilities: Float32Array, forward: Float32Array, backward: Float32Array}} Pass
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
  // Every browser's machine is little-endian today.
  const values = dtype === "float16" ? fromFloat16(bytes) : new Float32Array(bytes.buffer);
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
 * Add the constant forget bias to the trained biases; the forget gate is the second of the four.
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
 * IEEE 754 half precision: 1 bit of sign, 5 of exponent, 10 of fraction. Not every browser has Float16Array.
 * @param {Uint8Array} bytes
 * @returns {Float32Array}
 */
function fromFloat16(bytes) {
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
 * Run the network on a picture.
 * @param {Network} network
 * @param {Float32Array} rows (28, 28) in 0 to 1.
 * @returns {Pass}
 */
function run(network, rows) {
  const { num_layers, hidden_size } = network.architecture;
  let sequence = network.architecture.columns ? withColumns(rows) : rows;
  const layers = [];
  for (let layer = 0; layer < num_layers; layer++) {
    const forward = lstm(network, `layers.${layer}.fw`, sequence, false);
    const backward = lstm(network, `layers.${layer}.bw`, sequence, true);
    layers.push({ forward, backward });
    sequence = sideBySide(forward, backward, hidden_size);
  }
  const logits = head(network, readOut(network.architecture, sequence));
  return { ...layers[0], probabilities: softmax(logits) };
}

/**
 * Each row, followed by the column of the same number.
 * @param {Float32Array} rows (28, 28)
 * @returns {Float32Array} (28, 56)
 */
function withColumns(rows) {
  const columns = new Float32Array(SIDE * SIDE);
  for (let k = 0; k < columns.length; k++) columns[k] = rows[(k % SIDE) * SIDE + Math.floor(k / SIDE)];
  return sideBySide(rows, columns, SIDE);
}

/**
 * Join two sequences step by step.
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
 * Run one LSTM over all rows, beginning with states of zero.
 * @param {Network} network
 * @param {string} name The prefix of its arrays, such as `layers.0.fw`.
 * @param {Float32Array} sequence (28, inputs)
 * @param {boolean} isBackward Whether it goes from the last row to the first.
 * @returns {Float32Array} Its hidden states (28, hidden_size), each at its row.
 */
function lstm({ architecture, arrays }, name, sequence, isBackward) {
  const size = architecture.hidden_size;
  const inputWeight = /** @type {Float32Array} */ (arrays.get(`${name}.weight_ih`));
  const hiddenWeight = /** @type {Float32Array} */ (arrays.get(`${name}.weight_hh`));
  const bias = /** @type {Float32Array} */ (arrays.get(`${name}.bias`));
  const inputs = sequence.length / SIDE;
  const states = new Float32Array(SIDE * size);
  const cell = new Float32Array(size);
  const gates = new Float32Array(4 * size);
  let hidden = new Float32Array(size);
  for (let step = 0; step < SIDE; step++) {
    const row = isBackward ? SIDE - 1 - step : step;
    gates.set(bias);
    addProduct(gates, inputWeight, sequence.subarray(row * inputs, (row + 1) * inputs));
    addProduct(gates, hiddenWeight, hidden);
    hidden = states.subarray(row * size, (row + 1) * size);
    for (let unit = 0; unit < size; unit++) {
      const [i, f] = [sigmoid(gates[unit]), sigmoid(gates[size + unit])];
      const [g, o] = [Math.tanh(gates[2 * size + unit]), sigmoid(gates[3 * size + unit])];
      cell[unit] = f * cell[unit] + i * g;
      hidden[unit] = o * Math.tanh(cell[unit]);
    }
  }
  return states;
}

/**
 * Add the product of a matrix and a vector. Nearly all of the time goes here, so that four rows at once share
 * each value read from the vector, and their sums do not wait for each other.
 * @param {Float32Array} sums (rows), changed in place; the number of rows is a multiple of four.
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
 * What the head reads of the top layer's hidden states.
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
 * The linear layer at the end.
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
 * @returns {Float32Array} Probabilities (num_classes)
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

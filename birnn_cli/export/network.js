// The network: the same function as `probabilities(logits(...))` of birnn_cli/network/numpy_engine.py, over
// the same arrays. The page's scripts are joined into one module, so that they share their names.

// An image is (28, 28) numbers in 0 to 1, row after row; a sequence has one vector for each row of the image.
const SIDE = 28;

/**
 * A network's arrays by their names. In the page they are one after the other, little-endian, in base64; `sizes` says
 * how many numbers each one has, in the same order.
 */
function unpack({ weights, sizes, dtype }) {
  const { buffer } = Uint8Array.from(atob(weights), (character) => character.charCodeAt(0));
  // Every browser's machine is little-endian today.
  const values = dtype === "float16" ? fromFloat16(new Uint16Array(buffer)) : new Float32Array(buffer);
  let end = 0;
  const arrays = Object.entries(sizes).map(([name, size]) => [name, values.subarray(end, (end += size))]);
  return Object.fromEntries(arrays);
}

/** IEEE 754 half precision to single precision. Not every browser has Float16Array. */
function fromFloat16(halves) {
  // Sign, exponent and fraction take their places among the 32 bits. The exponents' offsets are 15 and 127.
  const bits = Uint32Array.from(halves, (half) => ((half & 0x8000) << 16) | ((half & 0x7fff) << 13));
  return new Float32Array(bits.buffer).map((value) => value * 2 ** (127 - 15));
}

/**
 * Run the network on an image: the classes' probabilities, and the first layer's hidden states `forward` and
 * `backward`, (28, hidden_size) each. At each row, the forward LSTM has read this row and those above it, the backward
 * LSTM this row and those below it.
 */
function run(network, pixels) {
  const { num_layers, columns } = network.architecture;
  const rows = Array.from({ length: SIDE }, (_, k) => pixels.subarray(k * SIDE, (k + 1) * SIDE));
  let sequence = columns ? sideBySide(rows, rows.map((_, k) => rows.map((row) => row[k]))) : rows;
  const layers = [];
  for (let layer = 0; layer < num_layers; layer++) {
    const forward = lstm(network, `layers.${layer}.fw`, sequence);
    const backward = lstm(network, `layers.${layer}.bw`, [...sequence].reverse()).reverse();
    layers.push({ forward, backward });
    sequence = sideBySide(forward, backward);
  }
  const { "head.weight": weight, "head.bias": bias } = network.arrays;
  const features = readOut(network.architecture, sequence);
  const logits = bias.map((start, label) =>
    features.reduce((sum, feature, k) => sum + weight[label * features.length + k] * feature, start),
  );
  return { ...layers[0], probabilities: softmax(logits) };
}

/** Join two sequences row by row. */
function sideBySide(left, right) {
  return left.map((vector, k) => Float32Array.of(...vector, ...right[k]));
}

/** The hidden states (28, hidden_size) of the LSTM whose arrays' names begin with `name`; the first states are zero. */
function lstm({ architecture, arrays }, name, sequence) {
  const { hidden_size: size, forget_bias } = architecture;
  const cell = new Float32Array(size);
  let hidden = new Float32Array(size);
  return sequence.map((vector) => {
    const gates = arrays[`${name}.bias`].slice();
    addProduct(gates, arrays[`${name}.weight_ih`], vector);
    addProduct(gates, arrays[`${name}.weight_hh`], hidden);
    hidden = new Float32Array(size);
    for (let unit = 0; unit < size; unit++) {
      const [i, f] = [sigmoid(gates[unit]), sigmoid(gates[size + unit] + forget_bias)];
      const [g, o] = [Math.tanh(gates[2 * size + unit]), sigmoid(gates[3 * size + unit])];
      cell[unit] = f * cell[unit] + i * g;
      hidden[unit] = o * Math.tanh(cell[unit]);
    }
    return hidden;
  });
}

/**
 * Add the product of a matrix (rows, columns) and a vector (columns) to `sums` (rows), in place. Nearly all of the time
 * goes here, so that four rows at once share each value read from the vector, and their sums do not wait for each
 * other. The number of rows is a multiple of four.
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
 * What the head reads of the top layer's hidden states (28, 2 hidden_size): a vector (2 hidden_size), or for `pool`
 * (4 hidden_size), means and then maxima.
 */
function readOut({ readout, hidden_size }, sequence) {
  const last = sequence[SIDE - 1];
  if (readout === "last") return last;
  const backward = sequence[0].subarray(hidden_size);
  if (readout === "states") return Float32Array.of(...last.subarray(0, hidden_size), ...backward);
  const means = last.map((_, unit) => sequence.reduce((sum, vector) => sum + vector[unit] / SIDE, 0));
  const maxima = last.map((_, unit) => Math.max(...sequence.map((vector) => vector[unit])));
  return Float32Array.of(...means, ...maxima);
}

function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

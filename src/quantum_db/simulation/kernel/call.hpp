// What a call works on. The structures mirror those in ../kernel_call.py field by field; a test compares their sizes.
//
// CNOT, SWAP and X never touch the state: they change the affine map from logical to stored indices
// (../stored_indices.py). A one-qubit gate then mixes the stored amplitudes p and p ^ flip, and the parity of p & sign
// says which of the two is |0>. All other two-qubit gates are made of one-qubit gates and CNOT.
#pragma once

#include <cstdint>

// A fused one-qubit gate in a block of amplitudes. `flip` and `sign` are masks on the index in the block; the block's
// base enters by parity(base & outer) ^ inverted.
struct Wire {
  int64_t flip, sign, outer, inverted, gate;
};

// One way through a block: the wires `first` .. `first + lines + lanes - 1`. The first `lines` ones mix lines with
// other lines; the `lanes` ones after them mix amplitudes that stand in the same line.
struct Pass {
  int64_t first, lines, lanes;
};

// Passes done block by block. A block is the 2^dim indices spanned by the lowest `low` bits and the vectors
// `basis` .. `basis + dim - low - 1`, of which each has a highest bit of its own. Without vectors it stands in one
// piece; otherwise it is gathered first and written back after.
struct Sweep {
  int64_t first, count, dim, low, basis;
};

// A Pauli string on stored indices: (P psi)_p = i^phase (-1)^parity(p & sign) psi_(p ^ flip), times the coefficient.
struct Observable {
  int64_t flip, sign, phase;
  double coefficient;
};

// An elementary gate: exp(-i angle P / 2) with P = X, Y, Z for axis 0, 1, 2 and angle = scale * slot + offset; `slot`
// counts weights, then features. Without a slot (-1) the fixed gate w - i (x X + y Y + z Z). Global phases drop out of
// everything that is computed.
struct Element {
  int64_t slot, axis;
  double scale, offset;
  double fixed[4];
};

// Elementary gates `first` .. `first + count - 1`, in order of application, multiplied into one.
struct Fused {
  int64_t first, count, per_row;
};

template <typename T> struct Call {
  int64_t n_qubits, rows, weight_rows, n_weights, n_features;
  int64_t n_sweeps, n_observables, n_fused, n_elements, threads;
  int64_t lane_bits;         // 2^lane_bits amplitudes of a row stand in one line
  int64_t inside;            // whether the threads share the blocks of one tile, instead of the tiles
  const Sweep* sweeps;
  const Pass* passes;
  const Wire* wires;
  const int64_t* bases;
  const Observable* observables;
  const Element* elements;
  const Fused* fused;        // the first n_qubits ones, if there are no states, make the product state to start from
  const T* weights;          // (weight_rows, n_weights), one row for all rows or one each
  const T* features;         // (rows, n_features)
  const T* states;           // (rows, 2^n) complex to start from, or null
  T* psi;                    // room for whole tiles of states
  T* lambda;                 // likewise, for the gradient: one tile, or all if tiles are shared out to threads
  T* values;                 // (rows, observables)
  const T* cotangent;        // (rows, observables)
  T* weights_grad;           // (weight_rows, n_weights)
  T* features_grad;          // (rows, n_features)
  T* states_grad;            // (rows, 2^n) complex, or null
};

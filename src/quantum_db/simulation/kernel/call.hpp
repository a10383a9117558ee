// What a call works on. The structures mirror those in ../kernel_call.py field by field; a test compares their sizes.
#pragma once

#include <cstdint>

enum Kind : int64_t { ONE = 1, PAIR = 2, TWO = 3 };

// One pass over the state. ONE: a gate on the wire of (flip1, sign1, inverted1). PAIR: one-qubit gates on two wires,
// both shared by all rows or both per row. TWO: a two-qubit gate, its first wire more significant. `gate1` and `gate2`
// are numbers of fused gates.
struct Step {
  int64_t kind, per_row;
  int64_t flip1, sign1, inverted1, gate1;
  int64_t flip2, sign2, inverted2, gate2;
};

// A Pauli string on stored indices: (P psi)_p = i^phase (-1)^parity(p & sign) psi_(p ^ flip), times the coefficient.
struct Observable {
  int64_t flip, sign, phase;
  double coefficient;
};

// An elementary gate C + cos(t) A + sin(t) B with t = scale * slot + offset. `slot` counts weights, then features; -1
// is no slot. `matrix` is the place of (C, A, B) in the constants: 3 * D * D complex numbers.
struct Element {
  int64_t slot, matrix;
  double scale, offset;
};

// Elementary gates `first` .. `first + count - 1`, in order of application, multiplied into one matrix of size `dim`.
struct Fused {
  int64_t first, count, dim, per_row;
};

template <typename T> struct Call {
  int64_t n_qubits, rows, weight_rows, n_weights, n_features;
  int64_t n_steps, n_observables, n_fused, threads;
  const Step* steps;
  const Observable* observables;
  const Element* elements;
  const Fused* fused;        // the first n_qubits ones, if there are no states, make the product state to start from
  const double* constants;
  const double* weights;     // (weight_rows, n_weights), one row for all rows or one each
  const double* features;    // (rows, n_features)
  const T* states;           // (rows, 2^n) complex to start from, or null
  T* psi;                    // room for whole tiles of states
  T* lambda;                 // likewise, for the gradient: qs_lambda_tiles tiles
  double* values;            // (rows, observables), zeroed by the caller
  const double* cotangent;   // (rows, observables)
  double* weights_grad;      // (weight_rows, n_weights), zeroed by the caller
  double* features_grad;     // (rows, n_features), zeroed by the caller
  T* states_grad;            // (rows, 2^n) complex, or null
};

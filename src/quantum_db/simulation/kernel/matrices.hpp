// The matrices of fused gates from weights and features, and the chain rule back.
#pragma once

#include <cmath>
#include <complex>
#include <vector>

#include "call.hpp"

using Complex = std::complex<double>;

// Matrices of one call: those shared by all rows once, then the others for each row. `place` finds the first entry.
struct Matrices {
  std::vector<Complex> entries;
  std::vector<int64_t> start, stride;  // of each fused gate; stride 0 for shared ones
  int64_t shared = 0;                  // entries of the shared ones, which come first

  template <typename T> explicit Matrices(const Call<T>& c) : start(c.n_fused), stride(c.n_fused) {
    int64_t total = 0;
    for (const int64_t per_row : {0, 1}) {
      for (int64_t g = 0; g < c.n_fused; ++g) {
        if (c.fused[g].per_row != per_row) continue;
        const int64_t size = c.fused[g].dim * c.fused[g].dim;
        start[g] = total;
        stride[g] = per_row ? size : 0;
        total += per_row ? size * c.rows : size;
      }
      if (!per_row) shared = total;
    }
    entries.resize(total);
  }
  int64_t place(int64_t gate, int64_t row) const { return start[gate] + stride[gate] * row; }
  const Complex* at(int64_t gate, int64_t row) const { return &entries[place(gate, row)]; }
  Complex* at(int64_t gate, int64_t row) { return &entries[place(gate, row)]; }
};

template <typename T> double slot_value(const Call<T>& c, int64_t slot, int64_t row) {
  if (slot < c.n_weights) return c.weights[(c.weight_rows == 1 ? 0 : row) * c.n_weights + slot];
  return c.features[row * c.n_features + slot - c.n_weights];
}

// The matrix of one elementary gate, and its derivative in the slot if asked for.
template <int D, typename T>
void element_matrix(const Call<T>& c, const Element& e, int64_t row, Complex out[D * D], Complex* slope) {
  const Complex* parts = reinterpret_cast<const Complex*>(c.constants) + e.matrix;
  if (e.slot < 0) {
    for (int k = 0; k < D * D; ++k) out[k] = parts[k];
    return;
  }
  const double angle = e.scale * slot_value(c, e.slot, row) + e.offset;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  for (int k = 0; k < D * D; ++k) {
    const Complex a = parts[D * D + k], b = parts[2 * D * D + k];
    out[k] = parts[k] + cosine * a + sine * b;
    if (slope) slope[k] = e.scale * (cosine * b - sine * a);
  }
}

template <int D> void multiply(const Complex* x, const Complex* y, Complex* out) {
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) {
      Complex sum = 0;
      for (int k = 0; k < D; ++k) sum += x[i * D + k] * y[k * D + j];
      out[i * D + j] = sum;
    }
}

template <int D, typename T> void fuse(const Call<T>& c, const Fused& f, int64_t row, Complex* out) {
  Complex next[D * D], product[D * D];
  element_matrix<D>(c, c.elements[f.first], row, out, nullptr);
  for (int64_t k = 1; k < f.count; ++k) {
    element_matrix<D>(c, c.elements[f.first + k], row, next, nullptr);
    multiply<D>(next, out, product);
    std::copy(product, product + D * D, out);
  }
}

template <typename T> void fill(const Call<T>& c, Matrices& m) {
  for (int64_t g = 0; g < c.n_fused; ++g)
    for (int64_t row = 0; row < (c.fused[g].per_row ? c.rows : 1); ++row)
      c.fused[g].dim == 2 ? fuse<2>(c, c.fused[g], row, m.at(g, row)) : fuse<4>(c, c.fused[g], row, m.at(g, row));
}

// From the gradient of a fused matrix (d/dRe + i d/dIm of each entry) to the gradients of its slots.
template <int D, typename T> void chain(const Call<T>& c, const Fused& f, int64_t row, const Complex* grad) {
  std::vector<Complex> before((f.count + 1) * D * D), matrix(f.count * D * D), slope(f.count * D * D);
  for (int k = 0; k < D; ++k) before[k * D + k] = 1;
  for (int64_t k = 0; k < f.count; ++k) {
    element_matrix<D>(c, c.elements[f.first + k], row, &matrix[k * D * D], &slope[k * D * D]);
    multiply<D>(&matrix[k * D * D], &before[k * D * D], &before[(k + 1) * D * D]);
  }
  Complex after[D * D] = {}, next[D * D], part[D * D], whole[D * D];
  for (int k = 0; k < D; ++k) after[k * D + k] = 1;
  for (int64_t k = f.count - 1; k >= 0; --k) {
    const Element& e = c.elements[f.first + k];
    if (e.slot >= 0) {
      multiply<D>(after, &slope[k * D * D], part);
      multiply<D>(part, &before[k * D * D], whole);
      double sum = 0;
      for (int i = 0; i < D * D; ++i) sum += grad[i].real() * whole[i].real() + grad[i].imag() * whole[i].imag();
      if (e.slot < c.n_weights) c.weights_grad[(c.weight_rows == 1 ? 0 : row) * c.n_weights + e.slot] += sum;
      else c.features_grad[row * c.n_features + e.slot - c.n_weights] += sum;
    }
    multiply<D>(after, &matrix[k * D * D], next);
    std::copy(next, next + D * D, after);
  }
}

template <typename T> void chain_all(const Call<T>& c, const Matrices& grads) {
  for (int64_t g = 0; g < c.n_fused; ++g)
    for (int64_t row = 0; row < (c.fused[g].per_row ? c.rows : 1); ++row)
      c.fused[g].dim == 2 ? chain<2>(c, c.fused[g], row, grads.at(g, row)) : chain<4>(c, c.fused[g], row, grads.at(g, row));
}

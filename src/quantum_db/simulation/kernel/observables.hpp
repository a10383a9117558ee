// Expectation values of Pauli strings, and the state to carry backward.
//
// Strings of Z only need sums of probabilities with signs (-1)^parity(p & sign). Over the low bits of a group of 2^h
// lines a Walsh-Hadamard transform gives those for all signs at once, in h additions per line; each string then picks
// one. The way back is the same transform.
#pragma once

#include "lines.hpp"

template <typename T, int V> struct Observables {
  using L = Lines<T, V>;
  using Vec = typename L::Vec;
  using Line = typename L::Line;
  using Tile = typename L::Tile;
  static constexpr int GROUP = 4;
  static constexpr int64_t GROUPS = 16;  // groups added in working precision before they go to double

  const Call<T>& c;
  const Tile& t;
  const int h;             // a group is 2^h lines
  const int64_t groups;
  std::vector<Vec> signs;  // of each observable, by the low bits of the lanes

  Observables(const Call<T>& call, const Tile& tile)
      : c(call), t(tile), h(int(std::min<int64_t>(GROUP, call.n_qubits - tile.lane_bits))),
        groups(int64_t(1) << (call.n_qubits - tile.lane_bits - h)), signs(call.n_observables) {
    for (int64_t o = 0; o < c.n_observables; ++o)
      for (int l = 0; l < V; ++l) signs[o][l] = parity(t.low(l) & c.observables[o].sign) ? T(-1) : T(1);
  }
  static bool diagonal(const Observable& o) { return o.flip == 0; }
  // The mask of a string's signs on the numbers of lines.
  int64_t line_sign(const Observable& o) const { return o.sign >> t.lane_bits; }
  // 1 or -1: from a parity, and from a phase of a half turn.
  static T turned(const Observable& o, int bit) { return (bit ^ int(o.phase >> 1)) & 1 ? T(-1) : T(1); }

  void transform(Vec (&x)[1 << GROUP]) const {
    for (int k = 0; k < h; ++k)
      for (int i = 0; i < 1 << h; ++i) {
        if (i >> k & 1) continue;
        const Vec a = x[i], b = x[i | 1 << k];
        x[i] = a + b, x[i | 1 << k] = a - b;
      }
  }
  // (P psi) on one line, but for sign and phase.
  Line partner(const Line* psi, int64_t line, const Observable& o) const {
    const int64_t at = line ^ (o.flip >> t.lane_bits), x = o.flip & ((int64_t(1) << t.lane_bits) - 1);
    return x ? L::moved(psi[at], t.from[x]) : psi[at];
  }

  void values(const Line* psi, int threads) const {
    const int parts = int(std::min<int64_t>(threads, groups));
    const int64_t n = c.n_observables;
    std::vector<double> sums(size_t(parts) * n * V, 0.0);
    each_part(parts, [&](int part) {
      std::vector<Vec> terms(n);
      const int64_t end = groups * (part + 1) / parts;
      for (int64_t begin = groups * part / parts; begin < end; begin += GROUPS) {
        std::fill(terms.begin(), terms.end(), Vec{});
        for (int64_t g = begin; g < std::min(end, begin + GROUPS); ++g) add_group(psi, g, terms.data());
        for (int64_t o = 0; o < n; ++o)
          for (int l = 0; l < V; ++l) sums[(part * n + o) * V + l] += double(terms[o][l]);
      }
    });
    for (int row = 0; row < t.valid(); ++row)
      for (int64_t o = 0; o < n; ++o) {
        double sum = 0;
        for (int part = 0; part < parts; ++part)
          for (int l = row; l < V; l += t.rows_in_tile) sum += double(signs[o][l]) * sums[(part * n + o) * V + l];
        c.values[(t.first + row) * n + o] = T(c.observables[o].coefficient * sum);
      }
  }
  void add_group(const Line* psi, int64_t g, Vec* terms) const {
    Vec weight[1 << GROUP];
    for (int i = 0; i < 1 << h; ++i) {
      const Line& x = psi[(g << h) + i];
      weight[i] = x.re * x.re + x.im * x.im;
    }
    transform(weight);
    for (int64_t k = 0; k < c.n_observables; ++k) {
      const Observable& o = c.observables[k];
      const int64_t sign = line_sign(o);
      if (diagonal(o)) {
        const Vec& sum = weight[sign & ((1 << h) - 1)];
        terms[k] += turned(o, parity((g << h) & sign)) * sum;
        continue;
      }
      for (int i = 0; i < 1 << h; ++i) {  // Re(conj(x) i^phase y)
        const int64_t line = (g << h) + i;
        const Line x = psi[line], y = partner(psi, line, o);
        const T turn = turned(o, parity(line & sign));
        terms[k] += o.phase & 1 ? -turn * (x.re * y.im - x.im * y.re) : turn * (x.re * y.re + x.im * y.im);
      }
    }
  }

  // lambda = sum over observables of cotangent * P psi
  void seed(const Line* psi, Line* lam, int threads) const {
    std::vector<Vec> weight(c.n_observables);
    for (int64_t o = 0; o < c.n_observables; ++o)
      for (int l = 0; l < V; ++l)
        weight[o][l] = l % t.rows_in_tile < t.valid()
                           ? signs[o][l] * T(c.cotangent[t.row(l) * c.n_observables + o] * c.observables[o].coefficient)
                           : T(0);
    const int parts = int(std::min<int64_t>(threads, groups));
    each_part(parts, [&](int part) {
      for (int64_t g = groups * part / parts; g < groups * (part + 1) / parts; ++g) seed_group(psi, lam, g, weight.data());
    });
  }
  void seed_group(const Line* psi, Line* lam, int64_t g, const Vec* weight) const {
    Vec diagonals[1 << GROUP] = {};
    bool others = false;
    for (int64_t k = 0; k < c.n_observables; ++k) {
      const Observable& o = c.observables[k];
      const int64_t sign = line_sign(o);
      if (diagonal(o)) diagonals[sign & ((1 << h) - 1)] += turned(o, parity((g << h) & sign)) * weight[k];
      else others = true;
    }
    transform(diagonals);
    for (int i = 0; i < 1 << h; ++i) {
      const int64_t line = (g << h) + i;
      Line sum = {diagonals[i] * psi[line].re, diagonals[i] * psi[line].im};
      for (int64_t k = 0; others && k < c.n_observables; ++k) {
        const Observable& o = c.observables[k];
        if (diagonal(o)) continue;
        const Line y = partner(psi, line, o);
        const Vec turn = turned(o, parity(line & line_sign(o))) * weight[k];
        if (o.phase & 1) sum.re -= turn * y.im, sum.im += turn * y.re;
        else sum.re += turn * y.re, sum.im += turn * y.im;
      }
      lam[line] = sum;
    }
  }
};

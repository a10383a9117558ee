// The product state to start from, and the gradient of its factors.
//
// The state is the product of two smaller ones, of the upper and of the lower wires. Those are computed with one
// amplitude per line (every lane of a row holds the same number), the whole state from them in one way through it.
#pragma once

#include "lines.hpp"

template <typename T, int V> struct Product {
  using L = Lines<T, V>;
  using Vec = typename L::Vec;
  using Line = typename L::Line;
  using Tile = typename L::Tile;

  const Tile& t;
  const int n, low;                     // wires, and how many of them are in the lower half
  std::vector<Line> columns;            // of each wire: its amplitudes of |0> and |1>
  std::vector<Line> upper, lower;       // one amplitude per line
  std::vector<Line> packed;             // `lower` as in the state

  Product(int n_qubits, const Tile& tile, const PerGate<Quaternion>& gates)
      : t(tile), n(n_qubits), low(std::max(tile.lane_bits, (n_qubits + 1) / 2)), columns(2 * n_qubits) {
    for (int wire = 0; wire < n; ++wire)
      for (int l = 0; l < V; ++l) {
        const Quaternion& q = gates.at(wire, t.row(l));
        Line &zero = columns[2 * wire], &one = columns[2 * wire + 1];
        zero.re[l] = T(q.w), zero.im[l] = T(-q.z), one.re[l] = T(q.y), one.im[l] = T(-q.x);
      }
    upper = grown(0, n - low), lower = grown(n - low, n);
    packed.resize(lower.size() >> t.lane_bits);
    for (size_t p = 0; p < packed.size(); ++p)
      for (int l = 0; l < V; ++l) {
        const Line& from = lower[(p << t.lane_bits) | t.low(l)];
        packed[p].re[l] = from.re[l], packed[p].im[l] = from.im[l];
      }
  }
  // The product of the wires first .. last - 1.
  std::vector<Line> grown(int first, int last) const {
    std::vector<Line> state(size_t(1) << (last - first));
    state[0] = {L::all(1), L::all(0)};
    for (int wire = first; wire < last; ++wire)
      for (int64_t p = (int64_t(1) << (wire - first)) - 1; p >= 0; --p) {
        const Line x = state[p];
        for (int s = 1; s >= 0; --s) state[2 * p + s] = L::times(x, columns[2 * wire + s]);
      }
    return state;
  }

  void write(Line* psi, int threads) const {
    const int64_t outer = int64_t(upper.size()), inner = int64_t(packed.size());
    const int parts = int(std::min<int64_t>(threads, outer));
    each_part(parts, [&](int part) {
      for (int64_t h = outer * part / parts; h < outer * (part + 1) / parts; ++h)
        for (int64_t p = 0; p < inner; ++p) psi[h * inner + p] = L::times(packed[p], upper[h]);
    });
  }

  // The gradient from lambda, that of the whole state.
  void backward(const Line* lam, int threads, Vector3* shared, PerGate<Vector3>& grads) const {
    const int64_t outer = int64_t(upper.size()), inner = int64_t(packed.size());
    const int parts = int(std::min<int64_t>(threads, outer));
    std::vector<Line> by_upper(outer), by_packed(parts * inner, Line{});
    each_part(parts, [&](int part) {
      Line* mine = &by_packed[part * inner];
      for (int64_t h = outer * part / parts; h < outer * (part + 1) / parts; ++h) {
        const Line up = upper[h];
        Line sum{};
        for (int64_t p = 0; p < inner; ++p) {
          const Line y = lam[h * inner + p];
          L::add(sum, L::times_conj(y, packed[p]));
          L::add(mine[p], L::times_conj(y, up));
        }
        by_upper[h] = gathered(sum);
      }
    });
    for (int part = 1; part < parts; ++part)
      for (int64_t p = 0; p < inner; ++p) L::add(by_packed[p], by_packed[part * inner + p]);
    fold(by_upper, 0, n - low, shared, grads);
    fold(spread(by_packed.data()), n - low, n, shared, grads);
  }
  // The sum over the lanes of each row, in all of them.
  Line gathered(const Line& x) const {
    Line sum = x;
    for (int shift = 1; shift < 1 << t.lane_bits; shift *= 2) L::add(sum, L::moved(sum, t.from[shift]));
    return sum;
  }
  std::vector<Line> spread(const Line* state) const {
    std::vector<Line> out(lower.size());
    for (size_t p = 0; p < out.size(); ++p)
      for (int l = 0; l < V; ++l) {
        const Line& from = state[p >> t.lane_bits];
        const int lane = int(p & ((size_t(1) << t.lane_bits) - 1)) * t.rows_in_tile + l % t.rows_in_tile;
        out[p].re[l] = from.re[lane], out[p].im[l] = from.im[lane];
      }
    return out;
  }
  // The gradient of the wires first .. last - 1 from that of their product, `lam`: from the last wire on each is summed
  // against the product of those before it, then contracted away.
  void fold(std::vector<Line> lam, int first, int last, Vector3* shared, PerGate<Vector3>& grads) const {
    std::vector<Line> parts(lam.size() + 1);  // parts[2^k + p]: the product of the first k wires
    parts[1] = {L::all(1), L::all(0)};
    for (int k = 0; k + 1 < last - first; ++k)
      for (int64_t p = 0; p < int64_t(1) << k; ++p)
        for (int s = 0; s < 2; ++s)
          parts[(int64_t(2) << k) + 2 * p + s] = L::times(parts[(int64_t(1) << k) + p], columns[2 * (first + k) + s]);
    for (int wire = last - 1; wire >= first; --wire) {
      const Line a = columns[2 * wire], b = columns[2 * wire + 1];
      const int64_t size = int64_t(1) << (wire - first);
      Line zero{}, one{};
      for (int64_t p = 0; p < size; ++p) {
        const Line x = parts[size + p], y0 = lam[2 * p], y1 = lam[2 * p + 1];
        L::add(zero, L::times_conj(y0, x)), L::add(one, L::times_conj(y1, x));
        Line rest = L::times_conj(y0, a);
        L::add(rest, L::times_conj(y1, b));
        lam[p] = rest;
      }
      add(zero, one, a, b, wire, shared, grads);
    }
  }
  // lambda = (zero, one) of one qubit in state (a, b), as in Passes: -Im d, -Re d and -Im of the difference of diagonals
  void add(const Line& zero, const Line& one, const Line& a, const Line& b, int wire, Vector3* shared,
           PerGate<Vector3>& grads) const {
    const Line up = L::times_conj(zero, b), down = L::times_conj(a, one);  // lambda_0 conj(psi_1), psi_0 conj(lambda_1)
    const Line first = L::times_conj(zero, a), second = L::times_conj(one, b);
    for (int l = 0; l < t.valid(); ++l) {
      const int64_t place = grads.place(wire, t.row(l));
      Vector3& out = place < grads.shared ? shared[place] : grads.entries[place];
      out.at[0] -= double(up.im[l]) - double(down.im[l]);
      out.at[1] -= double(up.re[l]) - double(down.re[l]);
      out.at[2] -= double(first.im[l]) - double(second.im[l]);
    }
  }
};

// The passes over a block, forward and back.
//
// A gate is, up to a phase, diag(1/b, b) [[c, -s], [s, c]] diag(1/a, a) with |a| = |b| = 1: the diagonal matrices of all
// wires of a pass are multiplied into one, and c is put in front of all, so that a turn takes one multiply-add per real
// number: x0 - t x1 and x1 + t x0 with t = s / c. If c is so small that t would overflow, c is made the unit of rounding.
#pragma once

#include <complex>
#include <cstring>
#include <limits>

#include "lines.hpp"

constexpr int64_t TERMS = 128;  // terms added in working precision before they go to double

using Complex = std::complex<double>;
// Without the search for NaN and infinity of the operator; the angles are checked before.
inline Complex product(const Complex& a, const Complex& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

struct Factors {
  double cosine = 1, turn = 0;
  Complex before, after;  // on |1>; conjugated on |0>
  Factors() = default;
  Factors(const Quaternion& q, double least) {
    const Complex one(q.w, q.z), mixed(q.y, -q.x);
    const double c = std::sqrt(std::norm(one)), s = std::sqrt(std::norm(mixed));
    const Complex p = c > least ? one / c : 1.0, m = s > least ? mixed / s : 1.0;
    cosine = std::max(c, least);
    turn = s / cosine;
    after = half(product(p, m));
    before = product(p, std::conj(after));
  }
  // A square root of a number of modulus 1.
  static Complex half(const Complex& x) {
    if (x.real() >= 0) {
      const double re = std::sqrt(0.5 * (1 + x.real()));
      return {re, 0.5 * x.imag() / re};
    }
    const double im = std::sqrt(0.5 * (1 - x.real()));
    return {0.5 * x.imag() / im, im};
  }
};

template <typename T, int V> struct Passes {
  using L = Lines<T, V>;
  using Vec = typename L::Vec;
  using Line = typename L::Line;
  using Tile = typename L::Tile;
  static constexpr int MOST = Places::MOST, MOST_LANES = Places::MOST_LANES;

  // The sums of one wire: <Z>, and real and imaginary part of lambda_0 conj(psi_1) - psi_0 conj(lambda_1).
  struct Sums {
    double z[V], re[V], im[V];
  };

  // A pass with the numbers of a call in it.
  struct Prepared {
    Places places;
    Line first[1 << MOST], last[1 << MOST];  // diagonal matrices before and after the turns, by role
    Vec turn[MOST], lane_turn[MOST_LANES];
    const typename L::Lanes* from;
    int lane_flip[MOST_LANES];

    Prepared(const Pass& pass, const Wire* wires, const PerGate<Quaternion>& gates, const Tile& t, bool undo)
        : places(pass, wires, t.lane_bits), from(t.from) {
      const int n = places.wires;
      bool per_row = false;
      for (int w = 0; w < n; ++w) {
        per_row |= gates.per_row[wires[pass.first + w].gate] != 0;
        if (w >= places.lines) lane_flip[w - places.lines] = int(places.flip[w]);
      }
      const int step = per_row ? 1 : t.rows_in_tile;
      Factors f[MOST + MOST_LANES];
      for (int l = 0; l < V; l += step) {
        for (int w = 0; w < n && (per_row || l == 0); ++w)
          f[w] = Factors(gates.at(wires[pass.first + w].gate, t.row(l)), double(std::numeric_limits<T>::epsilon()) / 2);
        fill(f, t.low(l), l, step, undo);
      }
    }
    void fill(const Factors* f, int low, int lane, int step, bool undo) {
      const int n = places.wires, g = places.lines;
      Complex in[1 << MOST], out[1 << MOST];
      in[0] = out[0] = 1.0;
      for (int w = n - 1; w >= 0; --w) {
        const bool swapped = parity(low & places.sign[w]) != 0;
        const Complex a = undo ? std::conj(f[w].after) : f[w].before;
        const Complex b = f[w].cosine * (undo ? std::conj(f[w].before) : f[w].after);
        const T t = T(undo != swapped ? -f[w].turn : f[w].turn);
        const Complex a0 = swapped ? a : std::conj(a), b0 = swapped ? b : std::conj(b);
        if (w >= g) {
          for (int l = lane; l < lane + step; ++l) lane_turn[w - g][l] = -t;
          in[0] = product(in[0], a0), out[0] = product(out[0], b0);
          continue;
        }
        for (int l = lane; l < lane + step; ++l) turn[w][l] = t;
        // wires come in from the highest down, so that role bit w doubles what is there
        for (int r = (1 << g) - (1 << (w + 1)); r >= 0; r -= 1 << (w + 1)) {
          in[r | 1 << w] = product(in[r], std::conj(a0)), in[r] = product(in[r], a0);
          out[r | 1 << w] = product(out[r], std::conj(b0)), out[r] = product(out[r], b0);
        }
      }
      for (int r = 0; r < 1 << g; ++r)
        for (int l = lane; l < lane + step; ++l) {
          first[r].re[l] = T(in[r].real()), first[r].im[l] = T(in[r].imag());
          last[r].re[l] = T(out[r].real()), last[r].im[l] = T(out[r].imag());
        }
    }
    int inverted(const Pass& pass, const Wire* wires, int64_t base) const {
      int bits = 0;
      for (int w = 0; w < places.wires; ++w) {
        const Wire& wire = wires[pass.first + w];
        bits |= (parity(base & wire.outer) ^ int(wire.inverted)) << w;
      }
      return bits;
    }
  };

  template <bool LANES> static inline Line load(const Prepared& p, const Line* block, int64_t index, int role) {
    const int64_t at = index ^ p.places.member[role];
    if (!LANES) return block[at];
    return L::moved(block[at >> p.places.lane_bits], p.from[at & ((1 << p.places.lane_bits) - 1)]);
  }
  template <bool LANES>
  static inline void store(const Prepared& p, Line* block, int64_t index, int role, const Line& x) {
    const int64_t at = index ^ p.places.member[role];
    if (!LANES) block[at] = x;
    else block[at >> p.places.lane_bits] = L::moved(x, p.from[at & ((1 << p.places.lane_bits) - 1)]);
  }
  template <int G, bool LANES> static inline void turn(const Prepared& p, Line (&x)[1 << G]) {
    for (int r = 0; r < 1 << G; ++r) x[r] = L::times(x[r], p.first[r]);
    for (int w = 0; w < G; ++w) {
      const Vec t = p.turn[w];
      for (int r = 0; r < 1 << G; ++r) {
        if (r >> w & 1) continue;
        Line &a = x[r], &b = x[r | 1 << w];
        const Line old = a;
        a.re -= t * b.re, a.im -= t * b.im;
        b.re += t * old.re, b.im += t * old.im;
      }
    }
    if (LANES)
      for (int w = G; w < p.places.wires; ++w)
        for (int r = 0; r < 1 << G; ++r) {
          const Line other = L::moved(x[r], p.from[p.lane_flip[w - G]]);
          x[r].re += p.lane_turn[w - G] * other.re, x[r].im += p.lane_turn[w - G] * other.im;
        }
    for (int r = 0; r < 1 << G; ++r) x[r] = L::times(x[r], p.last[r]);
  }

  template <int G, bool LANES> static void forward(const Prepared& p, Line* psi, int64_t lines, int inverted) {
    for (int64_t i = 0; i < lines >> G; ++i) {
      const int64_t index = p.places.template start<G>(i, inverted);
      Line x[1 << G];
      for (int r = 0; r < 1 << G; ++r) x[r] = load<LANES>(p, psi, index, r);
      turn<G, LANES>(p, x);
      for (int r = 0; r < 1 << G; ++r) store<LANES>(p, psi, index, r, x[r]);
    }
  }

  template <int G> struct Terms {
    Vec z[1 << G], re[G + 1], im[G + 1];
    Line lane[MOST_LANES];
  };
  template <int G, bool LANES>
  static inline void measure(const Prepared& p, Terms<G>& sum, const Line (&x)[1 << G], const Line (&y)[1 << G]) {
    for (int r = 0; r < 1 << G; ++r) sum.z[r] += y[r].im * x[r].re - y[r].re * x[r].im;
    for (int w = 0; w < G; ++w)
      for (int r = 0; r < 1 << G; ++r) {
        if (r >> w & 1) continue;
        const int s = r | 1 << w;
        sum.re[w] += y[r].re * x[s].re + y[r].im * x[s].im - y[s].re * x[r].re - y[s].im * x[r].im;
        sum.im[w] += y[r].im * x[s].re - y[r].re * x[s].im + y[s].im * x[r].re - y[s].re * x[r].im;
      }
    if (LANES)
      for (int w = G; w < p.places.wires; ++w)
        for (int r = 0; r < 1 << G; ++r)
          L::add(sum.lane[w - G], L::times_conj(y[r], L::moved(x[r], p.from[p.lane_flip[w - G]])));
  }
  template <int G> static void add_up(const Prepared& p, const Terms<G>& sum, Sums* sums) {
    for (int w = 0; w < p.places.wires; ++w)
      for (int l = 0; l < V; ++l) {
        double z = 0;
        for (int r = 0; r < 1 << G; ++r) z += w < G && (r >> w & 1) ? -double(sum.z[r][l]) : double(sum.z[r][l]);
        sums[w].z[l] += z;
        sums[w].re[l] += double(w < G ? sum.re[w][l] : sum.lane[w - G].re[l]);
        sums[w].im[l] += double(w < G ? sum.im[w][l] : sum.lane[w - G].im[l]);
      }
  }
  template <int G, bool LANES>
  static void backward(const Prepared& p, Line* psi, Line* lam, int64_t lines, int inverted, Sums* sums) {
    const int64_t count = lines >> G;
    for (int64_t begin = 0; begin < count; begin += TERMS) {
      Terms<G> sum;
      std::memset(static_cast<void*>(&sum), 0, sizeof(sum));
      for (int64_t i = begin; i < std::min(count, begin + TERMS); ++i) {
        const int64_t index = p.places.template start<G>(i, inverted);
        Line x[1 << G], y[1 << G];
        for (int r = 0; r < 1 << G; ++r) {
          x[r] = load<LANES>(p, psi, index, r);
          y[r] = load<LANES>(p, lam, index, r);
        }
        measure<G, LANES>(p, sum, x, y);
        turn<G, LANES>(p, x);
        for (int r = 0; r < 1 << G; ++r) store<LANES>(p, psi, index, r, x[r]);
        turn<G, LANES>(p, y);
        for (int r = 0; r < 1 << G; ++r) store<LANES>(p, lam, index, r, y[r]);
      }
      add_up<G>(p, sum, sums);
    }
  }

  template <bool LANES> static void run_forward(const Prepared& p, Line* psi, int64_t lines, int inverted) {
    if (p.places.lines == 2) forward<2, LANES>(p, psi, lines, inverted);
    else if (p.places.lines == 1) forward<1, LANES>(p, psi, lines, inverted);
    else if (LANES) forward<0, LANES>(p, psi, lines, inverted);
  }
  template <bool LANES>
  static void run_backward(const Prepared& p, Line* psi, Line* lam, int64_t lines, int inverted, Sums* sums) {
    if (p.places.lines == 2) backward<2, LANES>(p, psi, lam, lines, inverted, sums);
    else if (p.places.lines == 1) backward<1, LANES>(p, psi, lam, lines, inverted, sums);
    else if (LANES) backward<0, LANES>(p, psi, lam, lines, inverted, sums);
  }

  // The three numbers of a gate from its sums, for one lane.
  static Vector3 numbers(const Sums& s, const Wire& wire, const Tile& t, int lane) {
    const double sign = parity(t.low(lane) & wire.sign) ? -1 : 1;
    Vector3 v;
    v.at[0] = -s.im[lane], v.at[1] = -sign * s.re[lane], v.at[2] = -sign * s.z[lane];
    return v;
  }
};

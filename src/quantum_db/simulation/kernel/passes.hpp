// The passes over the states of one tile of W rows, forward and back.
//
// The batch is innermost: amplitude i of W rows is one line of W real parts followed by W imaginary parts, so every
// pass is the same arithmetic on W rows at once. Rows are independent; the last tile is padded with copies.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "indices.hpp"
#include "matrices.hpp"

constexpr int64_t BLOCK = 256;  // terms added in working precision before they go to double

template <typename T, int W>
struct Kernel {
  struct alignas(W * sizeof(T) > 64 ? 64 : W * sizeof(T)) Line {
    T re[W], im[W];
  };
  // Sizes of a matrix: D*D entries; shared ones hold one number each, others one per row of the tile.
  template <int D> struct Shared {
    T re[D * D], im[D * D];
    inline T r(int e, int) const { return re[e]; }
    inline T i(int e, int) const { return im[e]; }
  };
  template <int D> struct PerRow {
    T re[D * D][W], im[D * D][W];
    inline T r(int e, int l) const { return re[e][l]; }
    inline T i(int e, int l) const { return im[e][l]; }
  };
  template <int D> struct Outer {
    T re[D * D][W], im[D * D][W];
  };
  template <int D> struct Sums {
    double re[D * D][W], im[D * D][W];
    Sums() { std::memset(static_cast<void*>(this), 0, sizeof(*this)); }
    template <typename X> void add(const X& x) {
      for (int e = 0; e < D * D; ++e)
        for (int l = 0; l < W; ++l) re[e][l] += x.re[e][l], im[e][l] += x.im[e][l];
    }
  };

  // The rows of a tile, the matrices of the call, and where the tile's gradients of them go.
  struct Tile {
    const Matrices* matrices;
    Matrices* grads;         // for matrices of single rows, which no other tile touches
    Complex* shared_grads;   // for shared matrices, the tile's own part of the sum
    int64_t first, rows;
    int valid() const { return int(std::min<int64_t>(W, rows - first)); }
    int64_t row(int lane) const { return std::min(first + lane, rows - 1); }
  };

  template <int D> static void load(Shared<D>& m, const Tile& t, int64_t gate, bool adjoint) {
    const Complex* entry = t.matrices->at(gate, 0);
    for (int e = 0; e < D * D; ++e) {
      const Complex x = adjoint ? std::conj(entry[(e % D) * D + e / D]) : entry[e];
      m.re[e] = T(x.real()), m.im[e] = T(x.imag());
    }
  }
  template <int D> static void load(PerRow<D>& m, const Tile& t, int64_t gate, bool adjoint) {
    for (int l = 0; l < W; ++l) {
      const Complex* entry = t.matrices->at(gate, t.row(l));
      for (int e = 0; e < D * D; ++e) {
        const Complex x = adjoint ? std::conj(entry[(e % D) * D + e / D]) : entry[e];
        m.re[e][l] = T(x.real()), m.im[e][l] = T(x.imag());
      }
    }
  }

  // H_ab = sum of lambda_a conj(psi_b) after the gate U; its gradient (d/dRe + i d/dIm) is 2 H U.
  template <int D> static void add_gradient(const Complex* h, const Complex* u, Complex* out) {
    for (int a = 0; a < D; ++a)
      for (int b = 0; b < D; ++b)
        for (int c = 0; c < D; ++c) out[a * D + b] += 2.0 * h[a * D + c] * u[c * D + b];
  }
  template <int D> static void store(const Sums<D>& sums, const Shared<D>&, const Tile& t, int64_t gate) {
    Complex h[D * D] = {};
    for (int e = 0; e < D * D; ++e)
      for (int l = 0; l < t.valid(); ++l) h[e] += Complex(sums.re[e][l], sums.im[e][l]);
    add_gradient<D>(h, t.matrices->at(gate, 0), t.shared_grads + t.matrices->place(gate, 0));
  }
  template <int D> static void store(const Sums<D>& sums, const PerRow<D>&, const Tile& t, int64_t gate) {
    for (int l = 0; l < t.valid(); ++l) {
      Complex h[D * D];
      for (int e = 0; e < D * D; ++e) h[e] = Complex(sums.re[e][l], sums.im[e][l]);
      add_gradient<D>(h, t.matrices->at(gate, t.row(l)), t.grads->at(gate, t.row(l)));
    }
  }

  template <typename M> static inline void rotate(const M& m, Line& a, Line& b) {
    for (int l = 0; l < W; ++l) {
      const T ar = a.re[l], ai = a.im[l], br = b.re[l], bi = b.im[l];
      a.re[l] = m.r(0, l) * ar - m.i(0, l) * ai + m.r(1, l) * br - m.i(1, l) * bi;
      a.im[l] = m.r(0, l) * ai + m.i(0, l) * ar + m.r(1, l) * bi + m.i(1, l) * br;
      b.re[l] = m.r(2, l) * ar - m.i(2, l) * ai + m.r(3, l) * br - m.i(3, l) * bi;
      b.im[l] = m.r(2, l) * ai + m.i(2, l) * ar + m.r(3, l) * bi + m.i(3, l) * br;
    }
  }
  template <typename M> static inline void mix(const M& m, Line* x[4]) {
    Line y[4];
    for (int a = 0; a < 4; ++a)
      for (int l = 0; l < W; ++l) {
        T re = 0, im = 0;
        for (int b = 0; b < 4; ++b) {
          re += m.r(4 * a + b, l) * x[b]->re[l] - m.i(4 * a + b, l) * x[b]->im[l];
          im += m.r(4 * a + b, l) * x[b]->im[l] + m.i(4 * a + b, l) * x[b]->re[l];
        }
        y[a].re[l] = re;
        y[a].im[l] = im;
      }
    for (int a = 0; a < 4; ++a) *x[a] = y[a];
  }
  template <int D> static inline void outer(Outer<D>& h, int e, const Line& x, const Line& y) {
    for (int l = 0; l < W; ++l) {
      h.re[e][l] += x.re[l] * y.re[l] + x.im[l] * y.im[l];
      h.im[e][l] += x.im[l] * y.re[l] - x.re[l] * y.im[l];
    }
  }

  // Runs body(number) over 0..count-1, on several threads if asked.
  template <typename Body> static void each(int64_t count, int threads, const Body& body) {
    if (threads > 1) {
#pragma omp parallel for schedule(static) num_threads(threads)
      for (int64_t i = 0; i < count; ++i) body(i);
    } else {
      for (int64_t i = 0; i < count; ++i) body(i);
    }
  }
  // Runs body(number, outer products...) and adds the outer products up.
  template <typename S, typename O, typename Body>
  static void each_summed(int64_t count, int threads, S& sums, const Body& body) {
    const int64_t blocks = (count + BLOCK - 1) / BLOCK;
    auto work = [&](int64_t k, S& mine) {
      O h;
      std::memset(static_cast<void*>(&h), 0, sizeof(h));
      const int64_t end = std::min(count, (k + 1) * BLOCK);
      for (int64_t i = k * BLOCK; i < end; ++i) body(i, h);
      mine.add(h);
    };
    if (threads > 1) {
      // one sum per block range, added in a fixed order: the same numbers at every run
      std::vector<S> parts(threads);
#pragma omp parallel for schedule(static, 1) num_threads(threads)
      for (int part = 0; part < threads; ++part)
        for (int64_t k = blocks * part / threads; k < blocks * (part + 1) / threads; ++k) work(k, parts[part]);
      for (const S& part : parts) sums.add(part);
    } else {
      for (int64_t k = 0; k < blocks; ++k) work(k, sums);
    }
  }

  template <typename M> static void forward_one(Line* psi, int n, const Step& s, const Tile& t, int threads) {
    M m;
    load(m, t, s.gate1, false);
    const Pairs pairs(s);
    each(int64_t(1) << (n - 1), threads, [&](int64_t i) {
      int64_t zero, one;
      pairs.at(i, zero, one);
      rotate(m, psi[zero], psi[one]);
    });
  }
  template <typename M> static void forward_pair(Line* psi, int n, const Step& s, const Tile& t, int threads) {
    M m1, m2;
    load(m1, t, s.gate1, false);
    load(m2, t, s.gate2, false);
    const Quads quads(s);
    each(int64_t(1) << (n - 2), threads, [&](int64_t i) {
      int64_t at[4];
      quads.at(i, at);
      Line &a = psi[at[0]], &b = psi[at[1]], &c = psi[at[2]], &d = psi[at[3]];
      rotate(m2, a, b);
      rotate(m2, c, d);
      rotate(m1, a, c);
      rotate(m1, b, d);
    });
  }
  template <typename M> static void forward_two(Line* psi, int n, const Step& s, const Tile& t, int threads) {
    M m;
    load(m, t, s.gate1, false);
    const Quads quads(s);
    each(int64_t(1) << (n - 2), threads, [&](int64_t i) {
      int64_t at[4];
      quads.at(i, at);
      Line* x[4] = {&psi[at[0]], &psi[at[1]], &psi[at[2]], &psi[at[3]]};
      mix(m, x);
    });
  }

  template <typename M> static void backward_one(Line* psi, Line* lam, int n, const Step& s, const Tile& t, int threads) {
    M undo;
    load(undo, t, s.gate1, true);
    const Pairs pairs(s);
    Sums<2> sums;
    each_summed<Sums<2>, Outer<2>>(int64_t(1) << (n - 1), threads, sums, [&](int64_t i, Outer<2>& h) {
      int64_t z, o;
      pairs.at(i, z, o);
      outer(h, 0, lam[z], psi[z]);
      outer(h, 1, lam[z], psi[o]);
      outer(h, 2, lam[o], psi[z]);
      outer(h, 3, lam[o], psi[o]);
      rotate(undo, psi[z], psi[o]);
      rotate(undo, lam[z], lam[o]);
    });
    store(sums, undo, t, s.gate1);
  }
  struct BothOuter {
    Outer<2> first, second;
  };
  struct BothSums {
    Sums<2> first, second;
    template <typename X> void add(const X& x) { first.add(x.first), second.add(x.second); }
  };
  template <typename M> static void backward_pair(Line* psi, Line* lam, int n, const Step& s, const Tile& t, int threads) {
    M u1, u2;
    load(u1, t, s.gate1, true);
    load(u2, t, s.gate2, true);
    const Quads quads(s);
    BothSums sums;
    each_summed<BothSums, BothOuter>(int64_t(1) << (n - 2), threads, sums, [&](int64_t i, BothOuter& h) {
      int64_t at[4];
      quads.at(i, at);
      Line &a = psi[at[0]], &b = psi[at[1]], &c = psi[at[2]], &d = psi[at[3]];
      Line &A = lam[at[0]], &B = lam[at[1]], &C = lam[at[2]], &D = lam[at[3]];
      outer(h.first, 0, A, a), outer(h.first, 0, B, b);
      outer(h.first, 1, A, c), outer(h.first, 1, B, d);
      outer(h.first, 2, C, a), outer(h.first, 2, D, b);
      outer(h.first, 3, C, c), outer(h.first, 3, D, d);
      outer(h.second, 0, A, a), outer(h.second, 0, C, c);
      outer(h.second, 1, A, b), outer(h.second, 1, C, d);
      outer(h.second, 2, B, a), outer(h.second, 2, D, c);
      outer(h.second, 3, B, b), outer(h.second, 3, D, d);
      rotate(u2, a, b), rotate(u2, c, d), rotate(u1, a, c), rotate(u1, b, d);
      rotate(u2, A, B), rotate(u2, C, D), rotate(u1, A, C), rotate(u1, B, D);
    });
    store(sums.first, u1, t, s.gate1);
    store(sums.second, u2, t, s.gate2);
  }
  template <typename M> static void backward_two(Line* psi, Line* lam, int n, const Step& s, const Tile& t, int threads) {
    M undo;
    load(undo, t, s.gate1, true);
    const Quads quads(s);
    Sums<4> sums;
    each_summed<Sums<4>, Outer<4>>(int64_t(1) << (n - 2), threads, sums, [&](int64_t i, Outer<4>& h) {
      int64_t at[4];
      quads.at(i, at);
      Line* x[4] = {&psi[at[0]], &psi[at[1]], &psi[at[2]], &psi[at[3]]};
      Line* y[4] = {&lam[at[0]], &lam[at[1]], &lam[at[2]], &lam[at[3]]};
      for (int a = 0; a < 4; ++a)
        for (int b = 0; b < 4; ++b) outer(h, 4 * a + b, *y[a], *x[b]);
      mix(undo, x);
      mix(undo, y);
    });
    store(sums, undo, t, s.gate1);
  }

  // The product state of one column (two amplitudes) per wire, wire 0 most significant.
  static void product(Line* psi, int n, const Tile& t) {
    for (int l = 0; l < W; ++l) psi[0].re[l] = 1, psi[0].im[l] = 0;
    for (int wire = 0; wire < n; ++wire) {
      Line v[2];
      load_columns(v, wire, t);
      for (int64_t p = (int64_t(1) << wire) - 1; p >= 0; --p) {
        const Line x = psi[p];
        for (int s = 1; s >= 0; --s) psi[2 * p + s] = times(x, v[s]);
      }
    }
  }
  static void load_columns(Line v[2], int wire, const Tile& t) {
    for (int l = 0; l < W; ++l) {
      const Complex* entry = t.matrices->at(wire, t.row(l));
      for (int s = 0; s < 2; ++s) v[s].re[l] = T(entry[2 * s].real()), v[s].im[l] = T(entry[2 * s].imag());
    }
  }
  static inline Line times(const Line& x, const Line& y) {
    Line z;
    for (int l = 0; l < W; ++l) {
      z.re[l] = x.re[l] * y.re[l] - x.im[l] * y.im[l];
      z.im[l] = x.re[l] * y.im[l] + x.im[l] * y.re[l];
    }
    return z;
  }
  // The gradient of the columns. psi is used as room for the products of the first k wires, at place 2^k.
  static void product_backward(Line* psi, Line* lam, int n, const Tile& t) {
    std::vector<Line> v(2 * n);
    for (int wire = 0; wire < n; ++wire) load_columns(&v[2 * wire], wire, t);
    Line* part = psi;  // part[2^k + p] for k = 0..n-1 fills the buffer exactly, but for place 0
    for (int l = 0; l < W; ++l) part[1].re[l] = 1, part[1].im[l] = 0;
    for (int wire = 0; wire + 1 < n; ++wire)
      for (int64_t p = 0; p < int64_t(1) << wire; ++p)
        for (int s = 0; s < 2; ++s)
          part[(int64_t(2) << wire) + 2 * p + s] = times(part[(int64_t(1) << wire) + p], v[2 * wire + s]);
    for (int wire = n - 1; wire >= 0; --wire) {
      double re[2][W] = {}, im[2][W] = {};
      for (int64_t p = 0; p < int64_t(1) << wire; ++p) {
        const Line x = part[(int64_t(1) << wire) + p], y0 = lam[2 * p], y1 = lam[2 * p + 1];
        Line z;
        for (int l = 0; l < W; ++l) {
          re[0][l] += y0.re[l] * x.re[l] + y0.im[l] * x.im[l];
          im[0][l] += y0.im[l] * x.re[l] - y0.re[l] * x.im[l];
          re[1][l] += y1.re[l] * x.re[l] + y1.im[l] * x.im[l];
          im[1][l] += y1.im[l] * x.re[l] - y1.re[l] * x.im[l];
          const Line &a = v[2 * wire], &b = v[2 * wire + 1];
          z.re[l] = y0.re[l] * a.re[l] + y0.im[l] * a.im[l] + y1.re[l] * b.re[l] + y1.im[l] * b.im[l];
          z.im[l] = y0.im[l] * a.re[l] - y0.re[l] * a.im[l] + y1.im[l] * b.re[l] - y1.re[l] * b.im[l];
        }
        lam[p] = z;
      }
      for (int l = 0; l < t.valid(); ++l) {
        const int64_t place = t.matrices->place(wire, t.row(l));
        Complex* out = place < t.matrices->shared ? t.shared_grads + place : &t.grads->entries[place];
        for (int s = 0; s < 2; ++s) out[2 * s] += 2.0 * Complex(re[s][l], im[s][l]);
      }
    }
  }

  static void expectations(const Line* psi, int n, const Observable* obs, int64_t n_obs, double* values,
                           const Tile& t, int threads) {
    const int64_t size = int64_t(1) << n, blocks = (size + BLOCK - 1) / BLOCK;
    const int parts = std::max(1, threads);
    std::vector<double> sums(size_t(parts) * n_obs * W, 0.0);
    auto work = [&](int part) {
      std::vector<T> block(n_obs * W);
      double* mine = &sums[size_t(part) * n_obs * W];
      for (int64_t k = blocks * part / parts; k < blocks * (part + 1) / parts; ++k) {
        std::fill(block.begin(), block.end(), T(0));
        for (int64_t p = k * BLOCK; p < std::min(size, (k + 1) * BLOCK); ++p) {
          T weight[W];
          for (int l = 0; l < W; ++l) weight[l] = psi[p].re[l] * psi[p].re[l] + psi[p].im[l] * psi[p].im[l];
          for (int64_t o = 0; o < n_obs; ++o) {
            T* out = &block[o * W];
            const T turn = parity(p & obs[o].sign) ^ int(obs[o].phase >> 1) ? T(-1) : T(1);
            if (obs[o].flip == 0) {
              for (int l = 0; l < W; ++l) out[l] += turn * weight[l];
              continue;
            }
            const Line &x = psi[p], &y = psi[p ^ obs[o].flip];
            // Re(conj(x) i^phase y)
            const bool cross = obs[o].phase & 1;
            for (int l = 0; l < W; ++l)
              out[l] += cross ? -turn * (x.re[l] * y.im[l] - x.im[l] * y.re[l])
                              : turn * (x.re[l] * y.re[l] + x.im[l] * y.im[l]);
          }
        }
        for (int64_t j = 0; j < n_obs * W; ++j) mine[j] += block[j];
      }
    };
    if (threads > 1) {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
      for (int part = 0; part < parts; ++part) work(part);
    } else {
      work(0);
    }
    for (int part = 0; part < parts; ++part)
      for (int64_t o = 0; o < n_obs; ++o)
        for (int l = 0; l < t.valid(); ++l)
          values[(t.first + l) * n_obs + o] += obs[o].coefficient * sums[(size_t(part) * n_obs + o) * W + l];
  }

  // lambda = sum over observables of cotangent * P psi
  static void seed(const Line* psi, Line* lam, int n, const Observable* obs, int64_t n_obs, const double* cotangent,
                   const Tile& t, int threads) {
    std::vector<T> weight(n_obs * W);
    for (int64_t o = 0; o < n_obs; ++o)
      for (int l = 0; l < W; ++l)
        weight[o * W + l] =
            l < t.valid() ? T(cotangent[(t.first + l) * n_obs + o] * obs[o].coefficient) : T(0);
    each(int64_t(1) << n, threads, [&](int64_t p) {
      T diagonal[W] = {};
      Line sum;
      for (int l = 0; l < W; ++l) sum.re[l] = sum.im[l] = 0;
      for (int64_t o = 0; o < n_obs; ++o) {
        const T* c = &weight[o * W];
        const T turn = parity(p & obs[o].sign) ^ int(obs[o].phase >> 1) ? T(-1) : T(1);
        if (obs[o].flip == 0) {
          for (int l = 0; l < W; ++l) diagonal[l] += turn * c[l];
          continue;
        }
        const Line& y = psi[p ^ obs[o].flip];
        if (obs[o].phase & 1) {
          for (int l = 0; l < W; ++l) sum.re[l] -= turn * c[l] * y.im[l], sum.im[l] += turn * c[l] * y.re[l];
        } else {
          for (int l = 0; l < W; ++l) sum.re[l] += turn * c[l] * y.re[l], sum.im[l] += turn * c[l] * y.im[l];
        }
      }
      for (int l = 0; l < W; ++l) {
        lam[p].re[l] = sum.re[l] + diagonal[l] * psi[p].re[l];
        lam[p].im[l] = sum.im[l] + diagonal[l] * psi[p].im[l];
      }
    });
  }

  static void read(Line* psi, int64_t size, const T* states, const Tile& t) {
    for (int64_t p = 0; p < size; ++p)
      for (int l = 0; l < W; ++l) {
        const T* entry = states + 2 * (t.row(l) * size + p);
        psi[p].re[l] = entry[0], psi[p].im[l] = entry[1];
      }
  }
  static void write(const Line* lam, int64_t size, T* states, const Tile& t, T factor) {
    for (int64_t p = 0; p < size; ++p)
      for (int l = 0; l < t.valid(); ++l) {
        T* entry = states + 2 * ((t.first + l) * size + p);
        entry[0] = factor * lam[p].re[l], entry[1] = factor * lam[p].im[l];
      }
  }

  static void forward_step(Line* psi, int n, const Step& s, const Tile& t, int threads) {
    if (s.kind == ONE) return s.per_row ? forward_one<PerRow<2>>(psi, n, s, t, threads) : forward_one<Shared<2>>(psi, n, s, t, threads);
    if (s.kind == PAIR) return s.per_row ? forward_pair<PerRow<2>>(psi, n, s, t, threads) : forward_pair<Shared<2>>(psi, n, s, t, threads);
    return s.per_row ? forward_two<PerRow<4>>(psi, n, s, t, threads) : forward_two<Shared<4>>(psi, n, s, t, threads);
  }
  static void backward_step(Line* psi, Line* lam, int n, const Step& s, const Tile& t, int threads) {
    if (s.kind == ONE) return s.per_row ? backward_one<PerRow<2>>(psi, lam, n, s, t, threads) : backward_one<Shared<2>>(psi, lam, n, s, t, threads);
    if (s.kind == PAIR) return s.per_row ? backward_pair<PerRow<2>>(psi, lam, n, s, t, threads) : backward_pair<Shared<2>>(psi, lam, n, s, t, threads);
    return s.per_row ? backward_two<PerRow<4>>(psi, lam, n, s, t, threads) : backward_two<Shared<4>>(psi, lam, n, s, t, threads);
  }
};

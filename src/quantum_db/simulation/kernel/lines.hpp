// Lines: where amplitudes of several rows stand together, as wide as a vector register.
//
// A tile holds R = V >> lane_bits rows. A line is V real parts, then V imaginary parts; lane a R + r is the amplitude
// with low index bits a of row r. With many rows a line is one amplitude of V rows. With few rows it is neighbouring
// amplitudes of each, so that no lane is idle.
#pragma once

#include <algorithm>
#include <vector>

#include "indices.hpp"
#include "rotations.hpp"

template <typename T> struct LaneNumber;
template <> struct LaneNumber<float> { using type = int32_t; };
template <> struct LaneNumber<double> { using type = int64_t; };

template <typename T, int V> struct Lines {
  static constexpr int BYTES = V * int(sizeof(T));
  using Index = typename LaneNumber<T>::type;
  typedef T Vec __attribute__((vector_size(BYTES)));
  typedef Index Lanes __attribute__((vector_size(BYTES)));
  struct Line {
    Vec re, im;
  };

  static inline Vec all(T value) { return Vec{} + value; }
  static inline Vec moved(const Vec& v, const Lanes& from) {
#ifdef __clang__
    Vec out;
    for (int l = 0; l < V; ++l) out[l] = v[from[l]];
    return out;
#else
    return __builtin_shuffle(v, from);
#endif
  }
  static inline Line moved(const Line& x, const Lanes& from) { return {moved(x.re, from), moved(x.im, from)}; }
  static inline Line times(const Line& x, const Line& y) {
    return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
  }
  // x conj(y)
  static inline Line times_conj(const Line& x, const Line& y) {
    return {x.re * y.re + x.im * y.im, x.im * y.re - x.re * y.im};
  }
  static inline void add(Line& sum, const Line& x) { sum.re += x.re, sum.im += x.im; }

  // The rows of one tile, and how they stand in its lines.
  struct Tile {
    int lane_bits, rows_in_tile;
    int64_t first, rows;
    Lanes from[16];  // from[x] fetches the lanes whose low index bits differ by x
    Tile(int bits, int64_t tile, int64_t all_rows)
        : lane_bits(bits), rows_in_tile(V >> bits), first(tile * (V >> bits)), rows(all_rows) {
      for (int x = 0; x < 1 << bits; ++x)
        for (int l = 0; l < V; ++l) from[x][l] = Index(l ^ (x * rows_in_tile));
    }
    int valid() const { return int(std::min<int64_t>(rows_in_tile, rows - first)); }
    int64_t row(int lane) const { return std::min(first + lane % rows_in_tile, rows - 1); }
    int low(int lane) const { return lane / rows_in_tile; }  // the low index bits in this lane
  };
};

// Calls work(part) for every part, on one thread each.
template <typename Work> void each_part(int parts, const Work& work) {
  if (parts > 1) {
#pragma omp parallel for schedule(static, 1) num_threads(parts)
    for (int part = 0; part < parts; ++part) work(part);
  } else {
    work(0);
  }
}

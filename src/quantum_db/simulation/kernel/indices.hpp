// Bits of indices.
#pragma once

#include <algorithm>
#include <cstdint>

#include "call.hpp"

inline int parity(int64_t bits) { return __builtin_parityll(static_cast<unsigned long long>(bits)); }
inline int top_bit(int64_t bits) { return 63 - __builtin_clzll(static_cast<unsigned long long>(bits)); }
inline int64_t insert_zero(int64_t index, int place) {
  const int64_t low = index & ((int64_t(1) << place) - 1);
  return ((index >> place) << (place + 1)) | low;
}

// The indices that one pass mixes: for a running number, one member of each coset of the flips.
struct Places {
  static constexpr int MOST = 2, MOST_LANES = 4;
  int lines, wires, lane_bits;
  int pivot[MOST];                     // ascending, in bits of line numbers
  int64_t flip[MOST + MOST_LANES], sign[MOST + MOST_LANES];
  int64_t member[1 << MOST];           // flips of the line wires combined; wire w is bit w of the role
  Places(const Pass& pass, const Wire* all, int lane_bits_)
      : lines(int(pass.lines)), wires(int(pass.lines + pass.lanes)), lane_bits(lane_bits_) {
    int64_t reduced[MOST];
    for (int w = 0; w < wires; ++w) flip[w] = all[pass.first + w].flip, sign[w] = all[pass.first + w].sign;
    for (int w = 0; w < lines; ++w) {
      reduced[w] = flip[w] >> lane_bits;
      for (int v = 0; v < w; ++v)
        if (reduced[w] >> pivot[v] & 1) reduced[w] ^= reduced[v];
      pivot[w] = top_bit(reduced[w]);
    }
    std::sort(pivot, pivot + lines);
    for (int role = 0; role < 1 << lines; ++role) {
      member[role] = 0;
      for (int w = 0; w < lines; ++w)
        if (role >> w & 1) member[role] ^= flip[w];
    }
  }
  // The index whose role is 0 on every wire. Its low bits are what lanes have to be moved by for that.
  template <int G> inline int64_t start(int64_t number, int inverted) const {
    for (int w = 0; w < G; ++w) number = insert_zero(number, pivot[w]);
    int64_t index = number << lane_bits;
    const int count = lane_bits ? wires : G;
    for (int w = 0; w < count; ++w) index ^= flip[w] & -int64_t(parity(index & sign[w]) ^ (inverted >> w & 1));
    return index;
  }
};

// Where the blocks of a sweep stand.
struct Blocks {
  const int64_t* vectors;
  int n_vectors, dim, low;
  int64_t count;
  int held[64];  // bits in which the blocks' bases are zero, ascending
  Blocks(const Sweep& s, const int64_t* bases, int n)
      : vectors(bases + s.basis), n_vectors(int(s.dim - s.low)), dim(int(s.dim)), low(int(s.low)),
        count(int64_t(1) << (n - s.dim)) {
    for (int k = 0; k < low; ++k) held[k] = k;
    for (int k = 0; k < n_vectors; ++k) held[low + k] = top_bit(vectors[k]);
    std::sort(held, held + dim);
  }
  bool in_one_piece() const { return n_vectors == 0; }
  int64_t base(int64_t number) const {
    for (int k = 0; k < dim; ++k) number = insert_zero(number, held[k]);
    return number;
  }
  // Offset from the base of the piece of 2^low amplitudes with this number.
  int64_t piece(int64_t number) const {
    int64_t offset = 0;
    for (int k = 0; k < n_vectors; ++k) offset ^= vectors[k] & -(number >> k & 1);
    return offset;
  }
};

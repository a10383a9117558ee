// Which stored amplitudes a gate mixes.
//
// CNOT, SWAP and X never touch the state: they change the affine map from logical to stored indices. A one-qubit gate
// then acts on stored pairs (p, p ^ flip), and the parity of p & sign says which of the two is |0>.
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

// Places of the four (or two) stored indices that a step mixes, for a running number.
struct Pairs {
  int place;
  int64_t flip, sign;
  int inverted;
  explicit Pairs(const Step& s) : place(top_bit(s.flip1)), flip(s.flip1), sign(s.sign1), inverted(int(s.inverted1)) {}
  inline void at(int64_t number, int64_t& zero, int64_t& one) const {
    const int64_t p = insert_zero(number, place);
    const int64_t q = p ^ flip;
    const int64_t swap = -int64_t(parity(p & sign) ^ inverted);
    zero = p ^ ((p ^ q) & swap);
    one = q ^ ((p ^ q) & swap);
  }
};

struct Quads {
  Pairs first;
  int low, high;
  int64_t flip2, sign2;
  int inverted2;
  explicit Quads(const Step& s) : first(s), flip2(s.flip2), sign2(s.sign2), inverted2(int(s.inverted2)) {
    // the second flip without the first pivot bit, so that four numbers never meet
    const int64_t reduced = (s.flip2 >> first.place) & 1 ? s.flip2 ^ s.flip1 : s.flip2;
    low = std::min(first.place, top_bit(reduced));
    high = std::max(first.place, top_bit(reduced));
  }
  // index[2 a + b]: first wire in state a, second in state b
  inline void at(int64_t number, int64_t index[4]) const {
    const int64_t p = insert_zero(insert_zero(number, low), high);
    const int64_t swap1 = parity(p & first.sign) ^ first.inverted, swap2 = parity(p & sign2) ^ inverted2;
    const int64_t base = p ^ (first.flip & -swap1) ^ (flip2 & -swap2);
    index[0] = base;
    index[1] = base ^ flip2;
    index[2] = base ^ first.flip;
    index[3] = base ^ first.flip ^ flip2;
  }
};

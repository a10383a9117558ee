// Sweeps over the state: passes done block by block, so that a block stays in the cache from pass to pass.
#pragma once

#include "passes.hpp"

template <typename T, int V> struct Sweeps {
  using L = Lines<T, V>;
  using Line = typename L::Line;
  using Tile = typename L::Tile;
  using P = Passes<T, V>;
  using Prepared = typename P::Prepared;
  using Sums = typename P::Sums;

  const Call<T>& c;
  const PerGate<Quaternion>& gates;
  const int n, lane_bits;

  Sweeps(const Call<T>& call, const PerGate<Quaternion>& g)
      : c(call), gates(g), n(int(call.n_qubits)), lane_bits(int(call.lane_bits)) {}

  std::vector<Prepared> prepared(const Sweep& s, const Tile& t, bool undo) const {
    std::vector<Prepared> passes;
    passes.reserve(s.count);
    for (int64_t k = 0; k < s.count; ++k) passes.emplace_back(c.passes[s.first + k], c.wires, gates, t, undo);
    return passes;
  }
  // Work on a block of a state where it stands, or on a copy in `room`.
  Line* open(const Blocks& blocks, Line* state, int64_t base, std::vector<Line>& room) const {
    if (blocks.in_one_piece()) return state + (base >> lane_bits);
    const int64_t piece = int64_t(1) << (blocks.low - lane_bits);
    room.resize(size_t(1) << (blocks.dim - lane_bits));
    for (int64_t k = 0; k < int64_t(1) << blocks.n_vectors; ++k)
      std::copy_n(state + ((base ^ blocks.piece(k)) >> lane_bits), piece, room.data() + k * piece);
    return room.data();
  }
  void close(const Blocks& blocks, Line* state, int64_t base, const std::vector<Line>& room) const {
    if (blocks.in_one_piece()) return;
    const int64_t piece = int64_t(1) << (blocks.low - lane_bits);
    for (int64_t k = 0; k < int64_t(1) << blocks.n_vectors; ++k)
      std::copy_n(room.data() + k * piece, piece, state + ((base ^ blocks.piece(k)) >> lane_bits));
  }

  void forward(const Sweep& s, Line* psi, const Tile& t, int threads) const {
    const std::vector<Prepared> passes = prepared(s, t, false);
    const Blocks blocks(s, c.bases, n);
    const int64_t lines = int64_t(1) << (s.dim - lane_bits);
    const int parts = int(std::min<int64_t>(threads, blocks.count));
    each_part(parts, [&](int part) {
      std::vector<Line> room;
      for (int64_t b = blocks.count * part / parts; b < blocks.count * (part + 1) / parts; ++b) {
        const int64_t base = blocks.base(b);
        Line* block = open(blocks, psi, base, room);
        for (int64_t k = 0; k < s.count; ++k) {
          const int inverted = passes[k].inverted(c.passes[s.first + k], c.wires, base);
          if (lane_bits) P::template run_forward<true>(passes[k], block, lines, inverted);
          else P::template run_forward<false>(passes[k], block, lines, inverted);
        }
        close(blocks, psi, base, room);
      }
    });
  }

  void backward(const Sweep& s, Line* psi, Line* lam, const Tile& t, int threads, Vector3* shared,
                PerGate<Vector3>& grads) const {
    const std::vector<Prepared> passes = prepared(s, t, true);
    const Blocks blocks(s, c.bases, n);
    const int64_t lines = int64_t(1) << (s.dim - lane_bits);
    const int parts = int(std::min<int64_t>(threads, blocks.count));
    const Pass &head = c.passes[s.first], &tail = c.passes[s.first + s.count - 1];
    const int64_t n_wires = tail.first + tail.lines + tail.lanes - head.first;
    std::vector<Sums> sums(size_t(parts) * n_wires, Sums{});
    each_part(parts, [&](int part) {
      std::vector<Line> room, lambda_room;
      for (int64_t b = blocks.count * part / parts; b < blocks.count * (part + 1) / parts; ++b) {
        const int64_t base = blocks.base(b);
        Line *x = open(blocks, psi, base, room), *y = open(blocks, lam, base, lambda_room);
        for (int64_t k = s.count - 1; k >= 0; --k) {
          const Pass& pass = c.passes[s.first + k];
          const int inverted = passes[k].inverted(pass, c.wires, base);
          Sums* mine = &sums[part * n_wires + pass.first - head.first];
          if (lane_bits) P::template run_backward<true>(passes[k], x, y, lines, inverted, mine);
          else P::template run_backward<false>(passes[k], x, y, lines, inverted, mine);
        }
        close(blocks, psi, base, room);
        close(blocks, lam, base, lambda_room);
      }
    });
    // added in a fixed order: every run with as many threads gives the same numbers
    for (int part = 0; part < parts; ++part)
      for (int64_t w = 0; w < n_wires; ++w) add(sums[part * n_wires + w], c.wires[head.first + w], t, shared, grads);
  }
  void add(const Sums& sums, const Wire& wire, const Tile& t, Vector3* shared, PerGate<Vector3>& grads) const {
    for (int l = 0; l < V; ++l) {
      if (l % t.rows_in_tile >= t.valid()) continue;
      const Vector3 v = P::numbers(sums, wire, t, l);
      const int64_t place = grads.place(wire.gate, t.row(l));
      Vector3& out = place < grads.shared ? shared[place] : grads.entries[place];
      for (int k = 0; k < 3; ++k) out.at[k] += v.at[k];
    }
  }
};

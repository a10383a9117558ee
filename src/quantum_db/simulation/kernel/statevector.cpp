// Batched state vectors and their adjoint gradient (Jones and Gacon, "Efficient calculation of gradients in classical
// simulations of variational quantum algorithms", arXiv:2009.02823): the backward sweep undoes the gates instead of
// storing states, so the memory is two states whatever the depth.
//
// Plain C functions, called through ctypes (../kernel_call.py). Compiled once per instruction set.

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "observables.hpp"
#include "product.hpp"
#include "sweeps.hpp"

#ifndef QS_LINE_BYTES
#define QS_LINE_BYTES 16
#endif

namespace {

// States beyond this size are asked to stand in large pages, which take one page fault instead of 512.
constexpr int64_t LARGE = int64_t(1) << 23;

void ask_for_large_pages(void* start, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (bytes < LARGE) return;
  const uintptr_t page = uintptr_t(1) << 21, first = (reinterpret_cast<uintptr_t>(start) + page - 1) & ~(page - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(start) + uintptr_t(bytes)) & ~(page - 1);
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);  // advice only: may fail
#else
  (void)start, (void)bytes;
#endif
}

template <typename T> struct Runner {
  static constexpr int V = QS_LINE_BYTES / int(sizeof(T));
  using L = Lines<T, V>;
  using Line = typename L::Line;
  using Tile = typename L::Tile;

  const Call<T>& c;
  const int n;
  const int64_t size, tiles;  // lines of a tile
  const int threads_inside;
  const Angles<T> angles;
  PerGate<Quaternion> gates;

  explicit Runner(const Call<T>& call)
      : c(call), n(int(call.n_qubits)), size(int64_t(1) << (n - call.lane_bits)),
        tiles((call.rows + (V >> call.lane_bits) - 1) / (V >> call.lane_bits)),
        threads_inside(call.inside ? int(call.threads) : 1), angles(call), gates(call) {
    angles.fill(gates);
  }

  template <typename Work> void each_tile(const Work& work) const {
    const int threads = c.inside ? 1 : int(std::min<int64_t>(c.threads, tiles));
    if (threads > 1) {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
      for (int64_t tile = 0; tile < tiles; ++tile) work(tile);
    } else {
      for (int64_t tile = 0; tile < tiles; ++tile) work(tile);
    }
  }

  void forward() const {
    ask_for_large_pages(c.psi, tiles * size * int64_t(sizeof(Line)));
    each_tile([&](int64_t tile) {
      const Tile t(int(c.lane_bits), tile, c.rows);
      Line* psi = reinterpret_cast<Line*>(c.psi) + tile * size;
      c.states ? read(psi, t) : Product<T, V>(n, t, gates).write(psi, threads_inside);
      const Sweeps<T, V> sweeps(c, gates);
      for (int64_t s = 0; s < c.n_sweeps; ++s) sweeps.forward(c.sweeps[s], psi, t, threads_inside);
      Observables<T, V>(c, t).values(psi, threads_inside);
    });
  }

  void backward() const {
    // the shared gates have one table per tile, added in order: every run gives the same numbers
    PerGate<Vector3> grads(c);
    std::vector<Vector3> shared(tiles * grads.shared);
    const bool one = c.inside || c.threads == 1;
    ask_for_large_pages(c.lambda, (one ? 1 : tiles) * size * int64_t(sizeof(Line)));
    each_tile([&](int64_t tile) {
      const Tile t(int(c.lane_bits), tile, c.rows);
      Line* psi = reinterpret_cast<Line*>(c.psi) + tile * size;
      Line* lam = reinterpret_cast<Line*>(c.lambda) + (one ? 0 : tile) * size;
      Vector3* mine = shared.data() + tile * grads.shared;
      Observables<T, V>(c, t).seed(psi, lam, threads_inside);
      const Sweeps<T, V> sweeps(c, gates);
      for (int64_t s = c.n_sweeps - 1; s >= 0; --s)
        sweeps.backward(c.sweeps[s], psi, lam, t, threads_inside, mine, grads);
      if (!c.states) Product<T, V>(n, t, gates).backward(lam, threads_inside, mine, grads);
      else if (c.states_grad) write(lam, t);
    });
    for (int64_t tile = 0; tile < tiles; ++tile)
      for (int64_t k = 0; k < grads.shared; ++k)
        for (int j = 0; j < 3; ++j) grads.entries[k].at[j] += shared[tile * grads.shared + k].at[j];
    chain(grads);
  }
  void chain(const PerGate<Vector3>& grads) const {
    std::vector<double> by_weight(c.weight_rows * c.n_weights), by_feature(c.rows * c.n_features);
    for (int64_t g = 0; g < c.n_fused; ++g)
      for (int64_t row = 0; row < (c.fused[g].per_row ? c.rows : 1); ++row)
        angles.chain(g, row, grads.at(g, row), by_weight.data(), by_feature.data());
    for (size_t k = 0; k < by_weight.size(); ++k) c.weights_grad[k] = T(by_weight[k]);
    for (size_t k = 0; k < by_feature.size(); ++k) c.features_grad[k] = T(by_feature[k]);
  }

  void read(Line* psi, const Tile& t) const {
    for (int64_t p = 0; p < size; ++p)
      for (int l = 0; l < V; ++l) {
        const T* entry = c.states + 2 * ((t.row(l) << n) + (p << t.lane_bits) + t.low(l));
        psi[p].re[l] = entry[0], psi[p].im[l] = entry[1];
      }
  }
  void write(const Line* lam, const Tile& t) const {
    for (int64_t p = 0; p < size; ++p)
      for (int l = 0; l < V; ++l) {
        if (l % t.rows_in_tile >= t.valid()) continue;
        T* entry = c.states_grad + 2 * ((t.row(l) << n) + (p << t.lane_bits) + t.low(l));
        entry[0] = 2 * lam[p].re[l], entry[1] = 2 * lam[p].im[l];
      }
  }
};

enum Status : int64_t { DONE = 0, WEIGHTS_NOT_FINITE = 1, FEATURES_NOT_FINITE = 2 };

template <typename T> bool finite(const T* values, int64_t count) {
  return std::all_of(values, values + count, [](T x) { return std::isfinite(x); });
}

template <typename T> int64_t run(const void* call, bool backward) {
  const Call<T>& c = *static_cast<const Call<T>*>(call);
  if (!backward && !finite(c.weights, c.weight_rows * c.n_weights)) return WEIGHTS_NOT_FINITE;
  if (!backward && !finite(c.features, c.rows * c.n_features)) return FEATURES_NOT_FINITE;
  const Runner<T> runner(c);
  backward ? runner.backward() : runner.forward();
  return DONE;
}

}  // namespace

extern "C" {

// Numbers of this many bytes in a vector register of the instruction set.
int64_t qs_width(int64_t item_bytes) { return QS_LINE_BYTES / item_bytes; }

// Sizes of the structures, so that the caller can check that it lays them out alike.
int64_t qs_size(int64_t which) {
  const int64_t sizes[] = {sizeof(Wire),    sizeof(Pass),  sizeof(Sweep),      sizeof(Observable),
                           sizeof(Element), sizeof(Fused), sizeof(Call<float>)};
  return which >= 0 && which < 7 ? sizes[which] : -1;
}

int64_t qs_run_float(const void* call, int64_t backward) { return run<float>(call, backward != 0); }
int64_t qs_run_double(const void* call, int64_t backward) { return run<double>(call, backward != 0); }
}

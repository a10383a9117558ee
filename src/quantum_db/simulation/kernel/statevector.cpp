// Batched state vectors and their adjoint gradient (Jones and Gacon, "Efficient calculation of gradients in classical
// simulations of variational quantum algorithms", arXiv:2009.02823): the backward sweep undoes the gates instead of
// storing states, so the memory is two states whatever the depth.
//
// Plain C functions, called through ctypes (../kernel_call.py). Compiled once per instruction set.

#include "passes.hpp"

#ifndef QS_LINE_BYTES
#define QS_LINE_BYTES 16
#endif

namespace {

// From here on a pass over one tile is long enough to wake other threads for.
constexpr int THREADS_INSIDE = 12;

bool inside(int64_t n_qubits, int64_t tiles, int64_t threads) { return tiles < threads && n_qubits >= THREADS_INSIDE; }

template <typename T, int W> struct Runner {
  using K = Kernel<T, W>;
  using Line = typename K::Line;

  const Call<T>& c;
  const int n;
  const int64_t size, tiles;
  const int threads_inside;
  Matrices matrices;

  explicit Runner(const Call<T>& call)
      : c(call), n(int(call.n_qubits)), size(int64_t(1) << n), tiles((call.rows + W - 1) / W),
        threads_inside(inside(call.n_qubits, tiles, call.threads) ? int(call.threads) : 1), matrices(call) {
    fill(c, matrices);
  }

  template <typename Work> void each_tile(const Work& work) const {
    const int threads = int(std::min<int64_t>(c.threads, tiles));
    if (threads_inside == 1 && threads > 1) {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
      for (int64_t tile = 0; tile < tiles; ++tile) work(tile);
    } else {
      for (int64_t tile = 0; tile < tiles; ++tile) work(tile);
    }
  }

  void forward() const {
    each_tile([&](int64_t tile) {
      const typename K::Tile t{&matrices, nullptr, nullptr, tile * W, c.rows};
      Line* psi = reinterpret_cast<Line*>(c.psi) + tile * size;
      c.states ? K::read(psi, size, c.states, t) : K::product(psi, n, t);
      for (int64_t s = 0; s < c.n_steps; ++s) K::forward_step(psi, n, c.steps[s], t, threads_inside);
      K::expectations(psi, n, c.observables, c.n_observables, c.values, t, threads_inside);
    });
  }

  void backward() const {
    // one table of gradients per tile, added in order: every run gives the same numbers
    Matrices grads(c);
    std::vector<Complex> shared(tiles * grads.shared);
    each_tile([&](int64_t tile) {
      const typename K::Tile t{&matrices, &grads, shared.data() + tile * grads.shared, tile * W, c.rows};
      Line* psi = reinterpret_cast<Line*>(c.psi) + tile * size;
      Line* lam = reinterpret_cast<Line*>(c.lambda) + (threads_inside > 1 || c.threads == 1 ? 0 : tile) * size;
      K::seed(psi, lam, n, c.observables, c.n_observables, c.cotangent, t, threads_inside);
      for (int64_t s = c.n_steps - 1; s >= 0; --s) K::backward_step(psi, lam, n, c.steps[s], t, threads_inside);
      if (!c.states) K::product_backward(psi, lam, n, t);
      else if (c.states_grad) K::write(lam, size, c.states_grad, t, T(2));
    });
    for (int64_t tile = 0; tile < tiles; ++tile)
      for (int64_t k = 0; k < grads.shared; ++k) grads.entries[k] += shared[tile * grads.shared + k];
    chain_all(c, grads);
  }
};

template <typename T, int W> void run_with(const Call<T>& call, bool backward) {
  const Runner<T, W> runner(call);
  backward ? runner.backward() : runner.forward();
}

// Two tile widths: a whole vector register, and half of one for few rows. Half an AVX-512 register is slower than a
// whole one in the AVX2 build, so that build leaves it out (QS_WHOLE_ONLY).
template <typename T> void run(const void* call, bool backward, [[maybe_unused]] bool half) {
  constexpr int W = QS_LINE_BYTES / int(sizeof(T));
  const Call<T>& c = *static_cast<const Call<T>*>(call);
#ifndef QS_WHOLE_ONLY
  if (half) return run_with<T, W / 2>(c, backward);
#endif
  run_with<T, W>(c, backward);
}

}  // namespace

extern "C" {

// Rows per tile for numbers of this many bytes, at full width: one vector register of the instruction set.
int64_t qs_width(int64_t item_bytes) { return QS_LINE_BYTES / item_bytes; }

// Whether half width was built.
int64_t qs_has_half() {
#ifdef QS_WHOLE_ONLY
  return 0;
#else
  return 1;
#endif
}

// How many tiles of room the gradient needs in `lambda`.
int64_t qs_lambda_tiles(int64_t n_qubits, int64_t tiles, int64_t threads) {
  return inside(n_qubits, tiles, threads) || threads == 1 ? 1 : tiles;
}

// Sizes of the structures, so that the caller can check that it lays them out alike.
int64_t qs_size(int64_t which) {
  const int64_t sizes[] = {sizeof(Step), sizeof(Observable), sizeof(Element), sizeof(Fused), sizeof(Call<float>)};
  return which >= 0 && which < 5 ? sizes[which] : -1;
}

void qs_run_float(const void* call, int64_t backward, int64_t half) { run<float>(call, backward != 0, half != 0); }
void qs_run_double(const void* call, int64_t backward, int64_t half) { run<double>(call, backward != 0, half != 0); }
}

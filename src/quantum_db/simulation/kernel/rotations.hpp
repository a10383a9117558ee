// Fused one-qubit gates from weights and features, and the chain rule back.
//
// Up to a phase, which drops out, a gate is w - i (x X + y Y + z Z) with a unit vector (w, x, y, z): a quaternion. The
// gradient needs three numbers of each gate, Im <lambda| P |psi> for P = X, Y, Z behind it: the derivative in the angle
// of a rotation about P. Going back through a gate turns the three like any vector.
#pragma once

#include <cmath>
#include <vector>

#include "call.hpp"

struct Quaternion {
  double w, x, y, z;
};
struct Vector3 {
  double at[3] = {0, 0, 0};
};

// `a` after `b`.
inline Quaternion times(const Quaternion& a, const Quaternion& b) {
  return {a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z, a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
          a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x, a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w};
}

// What is kept of each fused gate, once for those shared by all rows, once per row for others.
template <typename X> struct PerGate {
  std::vector<int64_t> start;
  std::vector<char> per_row;
  int64_t shared = 0;  // number of the shared ones, which come first
  std::vector<X> entries;
  template <typename T> explicit PerGate(const Call<T>& c) : start(c.n_fused), per_row(c.n_fused) {
    int64_t total = 0;
    for (const int wanted : {0, 1}) {
      for (int64_t g = 0; g < c.n_fused; ++g) {
        if ((c.fused[g].per_row != 0) != (wanted != 0)) continue;
        start[g] = total, per_row[g] = char(wanted);
        total += wanted ? c.rows : 1;
      }
      if (!wanted) shared = total;
    }
    entries.resize(total);
  }
  int64_t place(int64_t gate, int64_t row) const { return start[gate] + (per_row[gate] ? row : 0); }
  const X& at(int64_t gate, int64_t row) const { return entries[place(gate, row)]; }
  X& at(int64_t gate, int64_t row) { return entries[place(gate, row)]; }
};

struct HalfAngle {
  double cosine, sine;
};

// Cosine and sine of every angle of a call.
template <typename T> struct Angles {
  const Call<T>& c;
  std::vector<int64_t> start;
  std::vector<HalfAngle> entries;
  explicit Angles(const Call<T>& call) : c(call), start(call.n_elements) {
    size_t total = 0;
    for (int64_t e = 0; e < c.n_elements; ++e)
      if (c.elements[e].slot >= 0) start[e] = int64_t(total), total += per_row(c.elements[e]) ? c.rows : 1;
    entries.resize(total);
    for (int64_t e = 0; e < c.n_elements; ++e) {
      const Element& element = c.elements[e];
      if (element.slot < 0) continue;
      for (int64_t row = 0; row < (per_row(element) ? c.rows : 1); ++row) {
        const double half = 0.5 * (element.scale * value(element.slot, row) + element.offset);
        entries[start[e] + row] = {std::cos(half), std::sin(half)};
      }
    }
  }
  bool per_row(const Element& e) const { return e.slot >= c.n_weights || c.weight_rows > 1; }
  double value(int64_t slot, int64_t row) const {
    if (slot < c.n_weights) return double(c.weights[(c.weight_rows == 1 ? 0 : row) * c.n_weights + slot]);
    return double(c.features[row * c.n_features + slot - c.n_weights]);
  }
  const HalfAngle& at(int64_t element, int64_t row) const {
    return entries[start[element] + (per_row(c.elements[element]) ? row : 0)];
  }
  Quaternion gate(int64_t element, int64_t row) const {
    const Element& e = c.elements[element];
    if (e.slot < 0) return {e.fixed[0], e.fixed[1], e.fixed[2], e.fixed[3]};
    const HalfAngle& h = at(element, row);
    return {h.cosine, e.axis == 0 ? h.sine : 0, e.axis == 1 ? h.sine : 0, e.axis == 2 ? h.sine : 0};
  }
  Quaternion fused(int64_t gate_number, int64_t row) const {
    const Fused& f = c.fused[gate_number];
    Quaternion product = gate(f.first, row);
    for (int64_t k = 1; k < f.count; ++k) product = times(gate(f.first + k, row), product);
    return product;
  }
  void fill(PerGate<Quaternion>& gates) const {
    for (int64_t g = 0; g < c.n_fused; ++g)
      for (int64_t row = 0; row < (c.fused[g].per_row ? c.rows : 1); ++row) gates.at(g, row) = fused(g, row);
  }

  // Adds to the gradients of the slots of one fused gate; `v` are the three numbers behind it.
  void chain(int64_t gate_number, int64_t row, Vector3 v, double* weights_grad, double* features_grad) const {
    const Fused& f = c.fused[gate_number];
    for (int64_t k = f.first + f.count - 1; k >= f.first; --k) {
      const Element& e = c.elements[k];
      if (e.slot < 0) {
        v = before({e.fixed[0], e.fixed[1], e.fixed[2], e.fixed[3]}, v);
        continue;
      }
      const double slope = e.scale * v.at[e.axis];
      if (e.slot < c.n_weights) weights_grad[(c.weight_rows == 1 ? 0 : row) * c.n_weights + e.slot] += slope;
      else features_grad[row * c.n_features + e.slot - c.n_weights] += slope;
      const HalfAngle& h = at(k, row);
      const double cosine = h.cosine * h.cosine - h.sine * h.sine, sine = 2 * h.cosine * h.sine;
      const int64_t b = (e.axis + 1) % 3, d = (e.axis + 2) % 3;
      const double vb = v.at[b], vd = v.at[d];
      v.at[b] = cosine * vb + sine * vd, v.at[d] = cosine * vd - sine * vb;
    }
  }
  // The three numbers in front of the gate `q`.
  static Vector3 before(const Quaternion& q, const Vector3& v) {
    const double w = q.w, x = q.x, y = q.y, z = q.z, *a = v.at;
    Vector3 out;
    out.at[0] = (1 - 2 * (y * y + z * z)) * a[0] + 2 * (x * y + w * z) * a[1] + 2 * (x * z - w * y) * a[2];
    out.at[1] = 2 * (x * y - w * z) * a[0] + (1 - 2 * (x * x + z * z)) * a[1] + 2 * (y * z + w * x) * a[2];
    out.at[2] = 2 * (x * z + w * y) * a[0] + 2 * (y * z - w * x) * a[1] + (1 - 2 * (x * x + y * y)) * a[2];
    return out;
  }
};

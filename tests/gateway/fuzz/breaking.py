"""Ways to break a job that is fine, each drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.gateway.fuzz.conftest import X0, job, jobs

KNOWN = {
    "x", "y", "z", "h", "s", "si", "t", "ti", "v", "vi", "not", "nop", "rx", "ry", "rz", "xx", "yy", "zz", "cnot",
    "swap", "pauliexp", "gpi", "gpi2", "ms", "sdg", "tdg", "sx", "sxdg",
}  # fmt: skip
_plain = st.none() | st.booleans() | st.integers() | st.text(max_size=10)
not_text = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.lists(_plain, max_size=2)
    | st.dictionaries(st.text(max_size=3), _plain, max_size=2)
)
not_number = (
    st.none()
    | st.text(max_size=10)
    | st.lists(_plain, max_size=2)
    | st.dictionaries(st.text(max_size=3), _plain, max_size=2)
)
not_object = _plain | st.lists(_plain, max_size=2)
not_list = _plain | st.dictionaries(st.text(max_size=3), _plain, max_size=2)


def nested(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = {"a": found} if levels % 2 else [found]
    return found


@dataclass
class Breaking:
    """Ways to break a valid job, each with what the error's short name must be ("" for any)."""

    draw: st.DrawFn
    circuit: dict[str, Any]

    def job(self, **fields: Any) -> dict[str, Any]:
        return job(self.circuit, **fields)

    def with_gate(self, gate: Any) -> dict[str, Any]:
        """The circuit with a further gate at any place."""
        gates = self.circuit["circuit"]
        place = self.draw(st.integers(0, len(gates)))
        return job({**self.circuit, "circuit": [*gates[:place], gate, *gates[place:]]})

    def fine_gate(self) -> dict[str, Any]:
        if self.circuit["gateset"] == "native":
            return {"gate": "gpi", "target": 0, "phase": 0.5}
        return {"gate": "rx", "target": 0, "rotation": 0.5}

    def unknown_gate(self) -> tuple[dict[str, Any], str]:
        name = self.draw(st.text(max_size=50).filter(lambda text: text.lower().strip() not in KNOWN))
        return self.with_gate({**self.fine_gate(), "gate": name}), "UnsupportedGate"

    def gate_of_the_other_set(self) -> tuple[dict[str, Any], str]:
        other = {"gate": "h", "target": 0} if self.circuit["gateset"] == "native" else {"gate": "gpi", "target": 0}
        return self.with_gate(other), "UnsupportedGate"

    def name_is_no_text(self) -> tuple[dict[str, Any], str]:
        return self.with_gate({**self.fine_gate(), "gate": self.draw(not_text)}), ""

    def qubit_out_of_range(self) -> tuple[dict[str, Any], str]:
        beyond = st.integers(self.circuit["qubits"], 10**25) | st.integers(-(10**25), -1)
        return self.with_gate({**self.fine_gate(), "target": self.draw(beyond)}), ""

    def qubit_is_no_number(self) -> tuple[dict[str, Any], str]:
        strange = not_number.filter(lambda value: not isinstance(value, list)) | st.booleans() | st.just(0.5)
        return self.with_gate({**self.fine_gate(), "target": self.draw(strange)}), ""

    def qubit_twice(self) -> tuple[dict[str, Any], str]:
        if self.circuit["gateset"] == "native":
            return self.with_gate({"gate": "zz", "targets": [0, 0], "angle": 0.1}), ""
        return self.with_gate({"gate": "cnot", "targets": [0], "controls": [0]}), ""

    def no_target(self) -> tuple[dict[str, Any], str]:
        gate = self.fine_gate()
        del gate["target"]
        return self.with_gate(gate), ""

    def too_many_controls(self) -> tuple[dict[str, Any], str]:
        wide = {"gateset": "qis", "qubits": 9}
        return job({**wide, "circuit": [{"gate": "x", "target": 8, "controls": list(range(8))}]}), "TooManyControls"

    def strange_angle(self) -> tuple[dict[str, Any], str]:
        key = "phase" if self.circuit["gateset"] == "native" else "rotation"
        beyond = st.integers(10**10, 10**400) | st.floats(min_value=1e10, allow_nan=False, allow_infinity=False)
        return self.with_gate({**self.fine_gate(), key: self.draw(not_number | st.booleans() | beyond)}), ""

    def angle_that_is_no_json(self) -> tuple[dict[str, Any], str]:
        key = "phase" if self.circuit["gateset"] == "native" else "rotation"
        strange = self.draw(st.sampled_from([float("nan"), float("inf"), float("-inf")]))
        return self.with_gate({**self.fine_gate(), key: strange}), "Bad Request"

    def number_that_the_gate_has_not(self) -> tuple[dict[str, Any], str]:
        return self.with_gate({**self.fine_gate(), self.draw(st.sampled_from(["time", "coefficients"])): 0.5}), ""

    def gate_is_no_object(self) -> tuple[dict[str, Any], str]:
        return self.with_gate(self.draw(not_object)), ""

    def circuit_is_no_list(self) -> tuple[dict[str, Any], str]:
        return job({**self.circuit, "circuit": self.draw(not_list)}), ""

    def strange_width(self) -> tuple[dict[str, Any], str]:
        strange = (
            not_number.filter(lambda value: value is not None) | st.booleans() | st.just(2.5) | st.integers(max_value=0)
        )
        return job({**self.circuit, "qubits": self.draw(strange)}), ""

    def too_many_qubits(self) -> tuple[dict[str, Any], str]:
        return job({**self.circuit, "qubits": self.draw(st.integers(30, 10**30))}), "NotEnoughQubits"

    def unknown_gate_set(self) -> tuple[dict[str, Any], str]:
        names = st.text(max_size=20).filter(lambda text: text not in ("qis", "native"))
        strange = names | not_text.filter(lambda value: value is not None)
        return job({**self.circuit, "gateset": self.draw(strange)}), ""

    def strange_shots(self) -> tuple[dict[str, Any], str]:
        wrong = st.integers(max_value=0) | st.integers(min_value=1_000_001, max_value=10**400)
        words = st.text(max_size=30).filter(lambda text: not text.strip().isdecimal())
        rest = st.booleans() | st.lists(st.integers(), max_size=2) | st.floats(1.01, 1.99)
        return self.job(shots=self.draw(wrong | words | rest)), "Bad Request"

    def strange_field(self) -> tuple[dict[str, Any], str]:
        name = self.draw(st.sampled_from(["metadata", "settings", "noise", "input"]))
        return self.job(**{name: self.draw(not_object.filter(lambda value: value is not None))}), ""

    def strange_name(self) -> tuple[dict[str, Any], str]:
        name = self.draw(st.sampled_from(["name", "backend", "type", "session_id", "project_id"]))
        strange = not_text.filter(lambda value: value is not None) | st.just("x" * 256) | st.just("a\x00b")
        return self.job(**{name: self.draw(strange)}), ""

    def missing_field(self) -> tuple[dict[str, Any], str]:
        body = self.job()
        del body[self.draw(st.sampled_from(["type", "backend", "input"]))]
        return body, "Bad Request"

    def unknown_backend(self) -> tuple[dict[str, Any], str]:
        return self.job(backend=self.draw(st.text(min_size=1, max_size=60))), "Bad Request"

    def machine_that_cannot_be_played(self) -> tuple[dict[str, Any], str]:
        return self.job(backend="qpu.forte-enterprise-1"), "Bad Request"

    def strange_noise(self) -> tuple[dict[str, Any], str]:
        models = st.text(max_size=30).filter(lambda text: text not in ("ideal", "aria-1", "forte-1"))
        models |= st.sampled_from([True, False, 7, [], ["aria-1"], {"name": "aria-1"}])
        seeds = st.integers(max_value=-1) | st.integers(min_value=2**32) | st.booleans() | st.just(0.5)
        noise = st.fixed_dictionaries({"model": models}) | st.fixed_dictionaries(
            {"model": st.just("ideal"), "seed": seeds}
        )
        return self.job(noise=self.draw(noise)), ""

    def deep_field(self) -> tuple[dict[str, Any], str]:
        name = self.draw(st.sampled_from(["metadata", "settings", "noise"]))
        return self.job(**{name: {"a": nested(self.draw(st.integers(101, 240)))}}), "Bad Request"

    def no_circuits(self) -> tuple[dict[str, Any], str]:
        return jobs(self.draw(st.just([]) | not_list)), ""

    def one_bad_circuit_of_several(self) -> tuple[dict[str, Any], str]:
        several: list[Any] = [{"circuit": X0["circuit"]} for _ in range(self.draw(st.integers(0, 20)))]
        bad = self.draw(not_object | st.just({"circuit": [{"gate": "x", "target": 2}]}))
        several.insert(self.draw(st.integers(0, len(several))), bad)
        return jobs(several), ""

    def single_as_multi(self) -> tuple[dict[str, Any], str]:
        return self.job(type="ionq.multi-circuit.v1"), ""


WAYS = sorted(name for name, member in vars(Breaking).items() if callable(member) and not name.startswith("_")
              and name not in ("job", "with_gate", "fine_gate"))  # fmt: skip

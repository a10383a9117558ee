"""What a run on machines is allowed to cost, and how its circuits are run there. No secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from quantum_db.backends.ionq.options import IonQOptions
from quantum_db.errors import ConfigurationError
from quantum_db.execution.targets import EmbeddedTarget, IonQTargets, QpuTarget

if TYPE_CHECKING:
    from quantum_db.execution.balanced import BalanceOptions
    from quantum_db.execution.mitigated import MitigationOptions

_BALANCE = ("queue_hour_usd", "error_usd", "down_s", "mix_targets")
_MITIGATION = ("factors", "folding", "fit", "degree", "gate_weights", "readout")


@dataclass(frozen=True)
class MachineOptions:
    """Options of targets that cost money or have noise; the defaults are the cheapest.

    `budget_usd`: US dollars that the run may cost, None for no limit. `price_table`: a file of own prices, "" for the
    published ones. `debiasing`: IonQ's error mitigation, which raises the minimum price. `native`: compile here to the
    machine's own gates. `session_id`: a session at the service whose cost limit all pods of a run share, instead of
    `budget_usd`. `mitigation`: the fields of MitigationOptions, `readout` as a list of [one_from_zero, zero_from_one].
    `balance`: the fields of BalanceOptions, dollars as text.
    """

    budget_usd: Decimal | None = None
    price_table: str = ""
    debiasing: bool = False
    native: bool = False
    session_id: str = ""
    mitigation: Mapping[str, Any] = field(default_factory=dict)
    balance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("debiasing", "native"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} is true or false, got {getattr(self, name)!r}")
        if self.session_id and self.budget_usd is not None:
            raise ConfigurationError(
                f"budget_usd is {self.budget_usd} and session_id {self.session_id!r}, but the session has a limit of "
                f"its own; leave one of them out"
            )

    def check(self, target: QpuTarget, noise_model: str) -> None:
        """Raise ConfigurationError for values that cannot be, and for options that `target` would ignore."""
        if isinstance(target, EmbeddedTarget):
            free = MachineOptions()
            for option in fields(self):
                set_ = getattr(self, option.name) != getattr(free, option.name)
                if set_ and option.name not in ("budget_usd", "price_table", "mitigation"):
                    raise ConfigurationError(
                        f"{option.name} is set, but qpu_target {target.name!r} runs in this process and would ignore "
                        f"it; leave it out"
                    )
        if self.balance and not (isinstance(target, IonQTargets) and len(target.wire_names) > 1):
            raise ConfigurationError(
                f"balance is set, but {target.name!r} is one target; name several, separated by commas, or leave it out"
            )
        if self.native and self.mitigation.get("factors"):
            raise ConfigurationError(
                "mitigation by noise factors folds circuits, and native compilation would merge what was folded; "
                "leave native or the factors out"
            )
        self.mitigation_options()
        self.balance_options()
        if isinstance(target, IonQTargets):
            for name in target.wire_names:
                self.ionq_options(name, noise_model).check_target(name)

    def ionq_options(self, wire_name: str, noise_model: str) -> IonQOptions:
        """How jobs are run on the target that the API calls `wire_name`."""
        older = wire_name.startswith(("qpu.aria", "qpu.harmony")) or noise_model.startswith(("aria", "harmony"))
        gates: Literal["ms", "zz"] = "ms" if older else "zz"
        return IonQOptions(
            noise_model=noise_model,
            debiasing=self.debiasing,
            native=gates if self.native else None,
            session_id=self.session_id,
        )

    def mitigation_options(self) -> MitigationOptions | None:
        """The mitigation that is wanted, None for none."""
        if not self.mitigation:
            return None
        from quantum_db.execution.mitigated import MitigationOptions
        from quantum_db.execution.mitigation.readout import ReadoutCalibration
        from quantum_db.simulation.noise import Readout

        given = _known("mitigation", self.mitigation, _MITIGATION)
        for name in ("factors", "gate_weights"):
            if name in given:
                given[name] = _numbers(f"mitigation {name}", given[name])
        if given.get("readout") is not None:
            pairs = [_numbers("mitigation readout", pair) for pair in _listed("mitigation readout", given["readout"])]
            if any(len(pair) != 2 for pair in pairs):
                raise ConfigurationError("mitigation readout is a list of [one_from_zero, zero_from_one], per qubit")
            given["readout"] = ReadoutCalibration(tuple(Readout(*pair) for pair in pairs))
        return MitigationOptions(**given)

    def balance_options(self) -> BalanceOptions | None:
        """What waiting and errors are worth, None for the defaults."""
        if not self.balance:
            return None
        from quantum_db.execution.balanced import BalanceOptions

        given = _known("balance", self.balance, _BALANCE)
        for name in ("queue_hour_usd", "error_usd"):
            if name in given:
                given[name] = dollars(f"balance {name}", given[name])
        return BalanceOptions(**given)


def dollars(name: str, text: Any) -> Decimal:
    """The amount in `text`, a decimal number of US dollars from 0 on; ConfigurationError if it is none."""
    try:
        amount = Decimal(text) if isinstance(text, str) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ConfigurationError(f'{name} must be US dollars from 0 on as text, such as "250" or "99.50", got {text!r}')
    return amount


def budget(text: str) -> Decimal | None:
    """The budget in `text`; None for ""."""
    return dollars("budget_usd", text) if text else None


def _known(name: str, options: Any, known: tuple[str, ...]) -> dict[str, Any]:
    for option in options:
        if option not in known:
            raise ConfigurationError(f"unknown option {option!r} of {name}; known: {', '.join(known)}")
    return dict(options)


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ConfigurationError(f"{name} must be a list, got {value!r}")
    return list(value)


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    for number in _listed(name, value):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ConfigurationError(f"{name} must be a list of numbers, got {value!r}")
    return tuple(value)

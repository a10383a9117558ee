from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantum_db.errors import ConfigurationError
from quantum_db.stages.arguments import parser_for, spec_from


@dataclass(frozen=True)
class Spec:
    train_data: Path = field(metadata={"help": "Where the training split is."})
    dataset: str = field(metadata={"help": "Name of the data"})
    seed: int = field(default=0, metadata={"help": "Seed; 100% of the randomness"})
    fraction: float = field(default=0.2, metadata={"help": "Part that is held back"})
    resume: bool = field(default=True, metadata={"help": "Go on from checkpoints"})
    force: bool = field(default=False, metadata={"help": "Do it anyway"})
    report_html: Path | None = field(default=None, metadata={"help": "Where the report goes"})
    limit: int | None = field(default=None, metadata={"help": "At most so many rows"})
    config: str = field(default="{}", metadata={"help": "The model as JSON"})


def parse(*arguments: str) -> Spec:
    return spec_from(parser_for(Spec, "qstore stage demo", "Shows.").parse_args(arguments), Spec)


def test_defaults_are_those_of_the_spec() -> None:
    assert parse("--train-data", "a/b", "--dataset", "x") == Spec(train_data=Path("a/b"), dataset="x")


def test_booleans_have_both_directions() -> None:
    spec = parse("--train-data", "a", "--dataset", "x", "--no-resume", "--force")
    assert (spec.resume, spec.force) == (False, True)


@given(
    st.builds(
        Spec,
        train_data=st.text("abc/.-_ é", min_size=1).map(Path),
        dataset=st.text(min_size=0).filter(lambda text: "\0" not in text),
        seed=st.integers(-(2**40), 2**40),
        fraction=st.floats(allow_nan=False),
        resume=st.booleans(),
        force=st.booleans(),
        report_html=st.none() | st.text("abc/", min_size=1).map(Path),
        limit=st.none() | st.integers(),
        config=st.sampled_from(["{}", '{"epochs": 3}', "-", "--seed", ""]),
    )
)
def test_every_spec_survives_the_command_line(spec: Spec) -> None:
    arguments = []
    for name, value in dataclasses.asdict(spec).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            arguments.append(f"--{option}={value!r}" if isinstance(value, float) else f"--{option}={value}")
    assert parse(*arguments) == spec


def test_help_shows_text_default_and_examples() -> None:
    parser = parser_for(Spec, "qstore stage demo", "Shows.", examples=["qstore stage demo --dataset x"])
    text = parser.format_help()
    assert "Where the training split is (required)" in text
    assert "100% of the randomness (default: 0)" in text
    assert "Go on from checkpoints (default: yes)" in text
    assert "Where the report goes (default: none)" in text
    assert "examples:\n  qstore stage demo --dataset x" in text
    assert "--resume, --no-resume" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--train-data, --dataset"),
        (["--train-data", "a", "--dataset", "x", "--seed", "one"], "--seed: invalid int value: 'one'"),
        (["--train-data", "a", "--dataset", "x", "--sede", "1"], "unrecognized arguments: --sede 1"),
        (["--train-data", "a", "--data", "x"], "--dataset"),
    ],
)
def test_wrong_arguments_are_configuration_errors(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=r"see: qstore stage demo --help$") as caught:
        parse(*arguments)
    assert message in str(caught.value)


def test_a_type_without_a_command_line_form_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        sizes: tuple[int, ...] = field(default=(1,), metadata={"help": "Sizes"})

    with pytest.raises(ConfigurationError, match=r"Odd\.sizes has type tuple"):
        parser_for(Odd, "odd", "Odd.")


def test_spec_from_takes_only_the_fields() -> None:
    namespace = argparse.Namespace(**dataclasses.asdict(Spec(Path("a"), "b")), debug=True)
    assert spec_from(namespace, Spec) == Spec(Path("a"), "b")

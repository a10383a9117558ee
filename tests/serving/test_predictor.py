from pathlib import Path

import pytest

from quantum_db.models import load_model
from quantum_db.serving.predictor import Predictor, without_folders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/data/iris.csv", "iris.csv"),
        ("csv:/home/ann/iris.csv", "csv:iris.csv"),
        ("file:///home/ann/iris.csv", "iris.csv"),
        ("C:\\Users\\ann\\iris.csv", "iris.csv"),
        ("~/data/iris.csv", "iris.csv"),
        ("read from /home/ann/iris.csv and /tmp/x", "read from iris.csv and x"),
        ("s3://bucket/folder/iris.csv", "s3://bucket/folder/iris.csv"),
        ("https://host/a/b", "https://host/a/b"),
        ("builtin:digits", "builtin:digits"),
        ("accuracy/epoch", "accuracy/epoch"),
        ("1/2", "1/2"),
    ],
)
def test_folders_are_cut_and_addresses_stay(text: str, shown: str) -> None:
    assert without_folders({"a": [text, 1, None]}) == {"a": [shown, 1, None]}


def test_the_version_is_the_one_given_or_the_start_of_the_digest(iris_model: Path) -> None:
    model = load_model(iris_model)
    assert Predictor(model, "iris", "7", 10).version == "7"
    assert Predictor(model, "iris", "", 10).version == model.digest[:12]

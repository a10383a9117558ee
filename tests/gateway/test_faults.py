from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quantum_db.errors import ConfigurationError, StoreError
from quantum_db.gateway.faults import KINDS, fault_plan, read_fault_plan


def strikes(rule: dict[str, Any], requests: int, seed: int = 0) -> list[int]:
    plan = fault_plan({"seed": seed, "rules": [rule]})
    return [i for i in range(1, requests + 1) if plan.striking("POST", "/v0.4/jobs")]


def test_nth_and_times_count_matching_requests() -> None:
    assert strikes({"kind": "delay", "nth": [2, 5]}, 6) == [2, 5]
    assert strikes({"kind": "delay", "nth": 3}, 6) == [3]
    assert strikes({"kind": "delay", "times": 2}, 6) == [1, 2]
    assert strikes({"kind": "delay", "times": 0}, 6) == []
    plan = fault_plan({"rules": [{"kind": "delay", "method": "PUT|POST", "path": "/jobs$", "nth": 1}]})
    assert plan.striking("GET", "/v0.4/jobs") == plan.striking("POST", "/v0.4/jobs/1") == ()
    assert len(plan.striking("POST", "/v0.4/jobs")) == 1
    assert plan.struck() == 1


def test_a_probability_is_drawn_from_the_seed() -> None:
    rule = {"kind": "drop_answer", "probability": 0.3}
    first = strikes(rule, 1000, seed=1)
    assert first == strikes(rule, 1000, seed=1) != strikes(rule, 1000, seed=2)
    assert 230 < len(first) < 370


def test_rules_strike_in_order_and_draw_apart() -> None:
    rules = [{"kind": "delay"}, {"kind": "status_after", "status": 500}, {"kind": "clock_skew", "seconds": 3}]
    plan = fault_plan({"rules": rules})
    assert [rule.kind for rule in plan.striking("GET", "/")] == ["delay", "status_after"]
    assert plan.skew_s() == 3


def test_an_outage_lasts_from_when_until_when() -> None:
    now = [100.0]
    plan = fault_plan({"rules": [{"kind": "outage", "from_s": 5, "until_s": 10}]})
    plan.clock = lambda: now[0]
    plan.__post_init__()
    seen = []
    for seconds in (0, 4.9, 5, 9.9, 10, 100):
        now[0] = 100.0 + seconds
        seen.append(bool(plan.striking("GET", "/")))
    assert seen == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "is no fault plan"),
        ({}, "is no fault plan"),
        ({"rules": {}}, "is no fault plan"),
        ({"rules": [], "more": 1}, "is no fault plan"),
        ({"rules": [], "seed": -1}, "seed must be"),
        ({"rules": [1]}, "rule 1 of the plan has no known kind"),
        ({"rules": [{"kind": "explode"}]}, f"choose one of: {', '.join(KINDS)}"),
        ({"rules": [{"kind": "delay", "status": 500}]}, "'status', which delay does not use"),
        ({"rules": [{"kind": "delay", "seconds": "1"}]}, "rule 1 of the plan: seconds is '1'"),
        ({"rules": [{"kind": "delay", "seconds": 601}]}, "seconds is 601"),
        ({"rules": [{"kind": "status_after", "status": 200}]}, "status is 200"),
        ({"rules": [{"kind": "delay", "probability": 1.5}]}, "probability is 1.5"),
        ({"rules": [{"kind": "delay", "nth": [0]}]}, "nth is 0"),
        ({"rules": [{"kind": "delay", "path": "("}]}, "no regular expression"),
        ({"rules": [{"kind": "job_failure", "code": "Oops"}]}, "code is 'Oops'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(content: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        fault_plan(content)
    assert says in str(error.value)


def test_a_plan_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"seed": 3, "rules": [{"kind": "delay", "seconds": 1}]}))
    assert read_fault_plan(file).rules[0].seconds == 1
    with pytest.raises(StoreError, match="does not exist"):
        read_fault_plan(tmp_path / "none.json")

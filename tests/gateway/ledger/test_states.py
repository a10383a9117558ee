"""Every step between states: the legal ones are taken, all others refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantum_db.gateway.ledger.errors import IllegalTransitionError
from quantum_db.gateway.ledger.states import LEGAL, LIVE, JobState, check_step, path

S = JobState
STEPS = {
    (S.SUBMITTED, S.READY), (S.READY, S.STARTED), (S.STARTED, S.COMPLETED),
    (S.SUBMITTED, S.FAILED), (S.READY, S.FAILED), (S.STARTED, S.FAILED),
    (S.SUBMITTED, S.CANCELED), (S.READY, S.CANCELED), (S.STARTED, S.CANCELED),
}  # fmt: skip
REACHABLE = STEPS | {(S.SUBMITTED, S.STARTED), (S.SUBMITTED, S.COMPLETED), (S.READY, S.COMPLETED)}
PAIRS = list(itertools.product(JobState, JobState))


@pytest.mark.parametrize(("current", "new"), PAIRS)
def test_exactly_the_legal_steps_are_allowed(current: JobState, new: JobState) -> None:
    if (current, new) in STEPS:
        check_step(current, new)
    else:
        with pytest.raises(IllegalTransitionError, match=f"from {current} to {new}"):
            check_step(current, new)


@pytest.mark.parametrize(("current", "new"), PAIRS)
def test_a_path_takes_legal_steps_only(current: JobState, new: JobState) -> None:
    if (current, new) not in REACHABLE:
        with pytest.raises(IllegalTransitionError, match=f"from {current} to {new}"):
            path(current, new)
        return
    steps = path(current, new)
    assert steps[-1] == new
    assert all(pair in STEPS for pair in itertools.pairwise((current, *steps)))


def test_an_end_names_what_is_possible() -> None:
    with pytest.raises(IllegalTransitionError, match="nothing: it is final"):
        check_step(S.COMPLETED, S.CANCELED)
    with pytest.raises(IllegalTransitionError, match="canceled, failed, ready"):
        check_step(S.SUBMITTED, S.COMPLETED)


def test_words_are_those_of_ionq_and_running_is_none() -> None:
    assert {state.value for state in JobState} == {"submitted", "ready", "started", "completed", "failed", "canceled"}
    assert {state for state in JobState if state.terminal} == {S.COMPLETED, S.FAILED, S.CANCELED}
    assert set(LIVE) == {S.SUBMITTED, S.READY, S.STARTED}


@given(st.lists(st.sampled_from(JobState), max_size=12))
def test_no_order_of_wishes_leads_out_of_an_end_or_back(wishes: list[JobState]) -> None:
    order = {S.SUBMITTED: 0, S.READY: 1, S.STARTED: 2, S.COMPLETED: 3, S.FAILED: 3, S.CANCELED: 3}
    state = S.SUBMITTED
    for wish in wishes:
        if wish in LEGAL[state]:
            check_step(state, wish)
            assert order[wish] > order[state]
            state = wish
        else:
            with pytest.raises(IllegalTransitionError):
                check_step(state, wish)
    assert state.terminal == (order[state] == 3)

"""Ids of jobs and of their circuits."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantum_db.gateway.ledger.identifiers import MAX_CHILDREN, child_id, new_job_id, parse_job_id


def test_a_job_id_is_a_uuid_of_its_own() -> None:
    ids = {new_job_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(str(uuid.UUID(job_id)) == job_id and job_id.endswith("0000") for job_id in ids)


@given(st.integers(0, MAX_CHILDREN - 1))
def test_a_child_leads_back_to_its_job_and_place(index: int) -> None:
    job_id = new_job_id()
    assert parse_job_id(child_id(job_id, index)) == (job_id, index)
    assert parse_job_id(child_id(job_id, index).upper()) == (job_id, index)
    assert parse_job_id(job_id) == (job_id, None)


def test_children_are_in_order_and_different() -> None:
    job_id = new_job_id()
    ids = [child_id(job_id, index) for index in range(5000)]
    assert ids == sorted(ids)
    assert len({*ids, job_id}) == 5001


@pytest.mark.parametrize("index", [-1, MAX_CHILDREN])
def test_more_circuits_than_ids_are_refused(index: int) -> None:
    with pytest.raises(ValueError, match="no id of its own"):
        child_id(new_job_id(), index)


@pytest.mark.parametrize(
    "text", ["", "x", "2f7ab6bd8b044ee79d655a0ed1290000", "z" * 36, "../" * 12, "{" + "0" * 34 + "}"]
)
def test_what_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the UUID's own message or ours
        parse_job_id(text)

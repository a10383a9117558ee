"""Ledgers that cannot be written or read: a full disk, a damaged file, a database that restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.gateway.kill.jobs import DrawnJob, draw_jobs
from tests.gateway.kill.lanes import Lane, Upstream, run_name
from tests.gateway.kill.processes import ForkServer, Process, free_port, wait_until_it_answers
from tests.gateway.postgresql import PostgresServer, require_postgresql

KEY = "key-of-the-storage-tests"
NO_FAULTS: dict[str, object] = {"seed": 1, "rules": []}


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of a few megabytes. Needs the right to mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def gateway(server: ForkServer, database: str, log: Path, *more: str) -> tuple[Process, str]:
    port = free_port()
    argv = ["gateway", "--port", str(port), "--database", database, "--long-poll-s", "1", *more]
    return Process(server, argv, {"QSTORE_GATEWAY_API_KEYS": f"physics:{KEY}"}, log), f"http://127.0.0.1:{port}"


def simulated(seed: int) -> list[DrawnJob]:
    jobs = draw_jobs(seed, f"storage{seed}")
    for job in jobs:
        job.body.update(backend="simulator")
        job.body.pop("noise", None)
    return jobs


@pytest.mark.slow
def test_a_full_disk_loses_no_accepted_job(fork_server: ForkServer, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        process, url = gateway(fork_server, f"sqlite:///{disk}/gateway.db", tmp_path / "log", "--workers", "1")
        process.start()
        wait_until_it_answers(url, process)
        accepted: dict[str, DrawnJob] = {}
        with httpx.Client(base_url=url, headers={"Authorization": f"apiKey {KEY}"}, timeout=60.0) as client:
            (disk / "ballast").write_bytes(bytes(1_500_000))
            answer = _submit_until_refused(client, accepted)
            assert answer.status_code == 503, answer.text[:500]
            assert "full" in answer.json()["message"] or "disk" in answer.json()["message"]
            assert client.get("/health").status_code == 200
            assert process.ended() is None, process.tail()
            (disk / "ballast").unlink()
            for job_id, job in accepted.items():
                _completed(client, job_id, job)
            again = simulated(9_999)[0]
            answer = client.post("/v0.4/jobs", json=again.body)
            assert answer.status_code in (200, 201), answer.text[:500]
            _completed(client, answer.json()["id"], again)
        process.stop(signal.SIGTERM)
    assert len(accepted) > 3


def _submit_until_refused(client: httpx.Client, accepted: dict[str, DrawnJob]) -> httpx.Response:
    for seed in range(5000, 7000):
        for job in simulated(seed):
            job.body["metadata"]["padding"] = "x" * 30_000
            answer = client.post("/v0.4/jobs", json=job.body)
            if answer.status_code not in (200, 201):
                return answer
            accepted[answer.json()["id"]] = job
    raise AssertionError("the disk was never full")


def _completed(client: httpx.Client, job_id: str, job: DrawnJob, within_s: float = 60.0) -> None:
    end, status = time.monotonic() + within_s, ""
    while status != "completed":
        assert time.monotonic() < end, f"{job_id} is {status}"
        status = client.get(f"/v0.4/jobs/{job_id}").json()["status"]
        assert status != "failed"
    found = client.get(f"/v0.4/jobs/{job_id}/results/probabilities/aggregated").json()
    histograms = list(found.values()) if len(job.expected) > 1 else [found]
    for one, other in zip(histograms, job.expected, strict=True):
        assert one.keys() == other.keys()
        assert max(abs(one[key] - other[key]) for key in one) < 1e-9


@pytest.mark.parametrize("command", ["gateway", "worker"])
def test_a_damaged_file_is_refused_with_its_name_and_what_to_do(
    fork_server: ForkServer, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "gateway.db"
    process, url = gateway(fork_server, f"sqlite:///{file}", tmp_path / "first.log")
    process.start()
    wait_until_it_answers(url, process)
    process.stop(signal.SIGTERM)
    content = bytearray(file.read_bytes())
    content[: 4096 * 3] = os.urandom(4096 * 3)
    file.write_bytes(content)
    argv = [command, "--database", f"sqlite:///{file}"]
    if command == "gateway":
        argv += ["--port", str(free_port())]
    broken = Process(fork_server, argv, {"QSTORE_GATEWAY_API_KEYS": f"physics:{KEY}"}, tmp_path / "log")
    broken.start()
    end = time.monotonic() + 30
    while (code := broken.ended()) is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert code == 2
    (line,) = [line for line in broken.tail().splitlines() if line.startswith("error:")]
    assert str(file) in line
    assert "restore a backup" in line
    assert "Traceback" not in broken.tail()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_database_that_restarts_delays_jobs_and_loses_none(fork_server: ForkServer, tmp_path: Path, how: str) -> None:
    with PostgresServer(require_postgresql()) as postgresql:
        upstream = Upstream(fork_server, tmp_path, NO_FAULTS)
        seed = 3000 if how == "fast" else 3001
        lane = Lane(fork_server, tmp_path / "lane", postgresql.new_database(), upstream, (seed,))
        upstream.start()
        try:
            lane.start()
            restart = threading.Thread(target=_restart, args=(postgresql, how))
            restart.start()
            paid = lane.run(seed)
            restart.join(30)
            assert not restart.is_alive()
        finally:
            lane.stop()
            upstream.process.stop()
    bills = upstream.bills()
    assert bills.keys() == paid.keys()
    assert all(len(jobs) == 1 for jobs in bills.values())
    assert set(paid.values()) <= {run_name(seed)}
    assert sum((jobs[0][1] for jobs in bills.values()), Decimal(0)) > 0


def _restart(postgresql: PostgresServer, how: str) -> None:
    time.sleep(0.4)
    postgresql.stop(how)
    time.sleep(1.0)
    postgresql.start()

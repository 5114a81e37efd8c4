"""A small study killed at random moments ends, after going on, with the table of the undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

KILLS = 30
LAST_RESORT = 300  # seconds after which a study that does not end is called hanging


def command(data: Path, out: Path) -> list[str]:
    sizes = ["--models", "3", "--pairs", "6", "--decoders", "2", "--epochs", "5", "--hidden", "16", "--workers", "2"]
    return [sys.executable, "-m", "egregium", "study", str(data), "--out", str(out), *sizes]


def finished(out: Path) -> dict[str, int]:
    """When each finished task was sealed, by address."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("tasks/*/done.json")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    np.save(tmp_path / "points.npy", x)
    return tmp_path / "points.npy"


@pytest.mark.slow
def test_thirty_kills(data: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    subprocess.run(command(data, tmp_path / "calm"), check=True, env=environment, capture_output=True, timeout=LAST_RESORT)
    duration = time.monotonic() - started

    moments, hurt, kills = random.Random(7), tmp_path / "hurt", 0
    while True:
        before = finished(hurt)
        process = subprocess.Popen(
            command(data, hurt), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(moments.uniform(0.05, 0.6) * duration if kills < KILLS else LAST_RESORT)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        assert before.items() <= finished(hurt).items(), "a finished task was run again"
        if kills >= KILLS and process.returncode == 0:
            break
    same = (hurt / "table.parquet").read_bytes() == (tmp_path / "calm" / "table.parquet").read_bytes()
    print(f"acceptance 7: {kills} kills, {len(finished(hurt))} tasks, none run again, table bit-identical: {same}")
    assert same

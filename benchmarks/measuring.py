"""How a method is measured: time, memory, arithmetic, and the length of its curves by one evaluator for all."""

import copy
import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import torch
from methods import Answer, Method
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry as flops_of

from egregium.numerics.derivatives import jacobian, vjp
from egregium.spaces import Pullback

STATM = Path("/proc/self/statm")
GRADIENTS = 7
Tell = Callable[[str], None]


@dataclass
class Record:
    """What one method did on one set of pairs: seconds of each repetition, lengths, decoder calls a pair, MiB beyond before."""

    method: Method
    seconds: list[float] = field(default_factory=list)
    length: Tensor = field(default_factory=lambda: torch.empty(0))
    calls: float = float("nan")
    memory: float = float("nan")
    remark: str = ""

    @property
    def median(self) -> float:
        """Seconds of the middle repetition."""
        return statistics.median(self.seconds)


def clock(device: torch.device) -> float:
    """Seconds; on one thread of a CPU those of the processor, else those of the wall after all that is under way."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def run(record: Record, decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
    """One timed repetition, from a collected heap: what methods before left is not charged to this one."""
    gc.collect()
    start = clock(z0.device)
    answer = record.method.join(decoder, z0, z1)
    record.seconds.append(clock(z0.device) - start)
    record.remark = answer.remark
    return answer


def warm_up(record: Record, decoder: nn.Module, z0: Tensor, z1: Tensor) -> None:
    """A first run that is not timed, for arithmetic and memory."""
    with Arithmetic() as one, torch.no_grad():
        decoder(z0[:1])
    with Peak(z0.device) as peak, Arithmetic() as whole:
        record.method.join(decoder, z0, z1)
    record.calls, record.memory = whole.total / one.total / len(z0), peak.mebibytes


def double(decoder: nn.Module) -> nn.Module:
    """A float64 copy."""
    return copy.deepcopy(decoder).double()


def lengths(decoder: nn.Module, answer: Answer, dtype: torch.dtype, device: torch.device, segments: int = 1000) -> Tensor:
    """The one evaluator: chord sums `(P,)` of decoded points at uniform t, by a float64 copy of the decoder."""
    z = answer.curves(torch.linspace(0, 1, segments + 1, dtype=dtype, device=device)).double()
    precise = double(decoder)
    with torch.no_grad():
        return torch.stack([torch.cat([precise(some) for some in one.split(256)]).diff(dim=0).norm(dim=-1).sum() for one in z])


def floor(decoder: nn.Module, z0: Tensor, z1: Tensor, segments: int = 32) -> float:
    """Seconds of one Jacobian pass and GRADIENTS gradient passes over the inner vertices of straight lines."""
    space = Pullback(decoder, dim=z0.shape[-1]).economical()
    t = torch.arange(1, segments, device=z0.device, dtype=z0.dtype) / segments
    z = torch.lerp(z0[:, None], z1[:, None], t[None, :, None]).flatten(0, 1)
    start = clock(z0.device)
    with torch.no_grad():
        for rows in z.split(1024):
            jacobian(space.immerse, rows)
            for _ in range(GRADIENTS):
                x, pull = vjp(space.immerse, rows)
                pull(x)
    return clock(z0.device) - start


class Arithmetic(TorchDispatchMode):
    """Counts the floating-point operations of matrix products and convolutions, forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        count = flops_of.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **kwargs, out_val=out)
        return out


class Peak:
    """Most memory in use within a block, in MiB beyond what was in use before: of the process, looked at a hundred times a
    second (NaN where the system does not tell), or of the CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.before, self.most = device, 0, 0
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        elif STATM.exists():
            self.before = self._resident()
            self.watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None) -> None:
        if self.device.type == "cuda":
            self.most = torch.cuda.max_memory_allocated(self.device)
        elif STATM.exists():
            self.over.set()
            self.watcher.join()

    @property
    def mebibytes(self) -> float:
        """What was measured."""
        return (self.most - self.before) / 2**20 if self.most else float("nan")

    def _watch(self) -> None:
        while not self.over.wait(0.01):
            self.most = max(self.most, self._resident())

    @staticmethod
    def _resident() -> int:
        return int(STATM.read_text().split()[1]) * 4096


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join("| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in lines)


def interleaved(records: Sequence[Record], decoder: nn.Module, ends: tuple[Tensor, Tensor], repeats: int, tell: Tell) -> None:
    """Run all methods `repeats` times in turn, and measure the curves of the first time."""
    for repeat in range(repeats):
        for record in records:
            tell(f"{record.method.name}, repetition {repeat + 1} of {repeats}")
            answer = run(record, decoder, *ends)
            if repeat == 0:
                record.length = lengths(decoder, answer, ends[0].dtype, ends[0].device)

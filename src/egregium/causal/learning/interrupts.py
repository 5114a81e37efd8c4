"""Ctrl-C that waits for the end of a step, so that what is saved then is whole."""

import signal
from types import FrameType
from typing import Self


class Interrupts:
    """While it is open, SIGINT sets `wanted`; a second one raises `KeyboardInterrupt` at once.

    Other handlers than Python's own, such as those of a worker that ignores the signal, stay, and so do those of threads.
    """

    wanted = False

    def __enter__(self) -> Self:
        self.previous = signal.getsignal(signal.SIGINT)
        self._handle(self._want)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle(signal.default_int_handler)

    def _handle(self, handler: object) -> None:
        ...

    def _want(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True

"""Ctrl-C that waits for the end of a step, so that what is saved then is whole."""

import signal
import threading
from types import FrameType
from typing import Self


class Interrupts:
    """While it is open, SIGINT sets `wanted`; a second one raises `KeyboardInterrupt` at once.

    Only Python's own handler is replaced, and put back: a worker that ignores the signal goes on ignoring it. Threads but
    the main one are never interrupted.
    """

    def __enter__(self) -> Self:
        self.wanted = False
        main = threading.current_thread() is threading.main_thread()
        self.replaced = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.replaced:
            signal.signal(signal.SIGINT, self._want)
        return self

    def __exit__(self, *_: object) -> None:
        if self.replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _want(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True

"""Ctrl-C waits, a second one does not, and foreign handlers stay."""

import signal
import threading

import pytest

from egregium.causal.learning.interrupts import Interrupts


def test_the_first_waits_and_the_second_does_not() -> None:
    with Interrupts() as interrupts:
        assert not interrupts.wanted
        signal.raise_signal(signal.SIGINT)
        assert interrupts.wanted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_foreign_handler_stays() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            assert not interrupts.wanted
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_threads_are_left_alone() -> None:
    seen = []

    def opened() -> None:
        with Interrupts() as interrupts:
            seen.append(interrupts.wanted)

    thread = threading.Thread(target=opened)
    thread.start()
    thread.join()
    assert seen == [False] and signal.getsignal(signal.SIGINT) is signal.default_int_handler

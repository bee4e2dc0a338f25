"""Frames worked on side by side, in bounded memory."""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

import cv2

from .memory_at_hand import bytes_at_hand

T, R = TypeVar("T"), TypeVar("R")


#: The share of the memory at hand that may go to frames that are worked on: others want some too, and it is a guess.
_OF_MEMORY = 0.6


def workers(each: float = 0.0) -> int:
    """How many frames are worked on side by side. each: bytes that one takes; where memory is short they are fewer, one at least."""
    most = min(os.cpu_count() or 1, 8)
    at_hand = bytes_at_hand() if each else None
    return most if at_hand is None else max(min(most, int(_OF_MEMORY * at_hand / each)), 1)


class Workers(ThreadPoolExecutor):
    """Threads that work on `count` frames side by side."""

    def __init__(self, count: int):
        super().__init__(count, "flow-inpaint")
        self.count = count


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Frames are worked on side by side, so OpenCV must not split each of them again."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def threes(items: Iterable[T]) -> Iterator[tuple[T, T, T]]:
    """Each item but the first and the last, between those beside it."""
    window: deque[T] = deque(maxlen=3)
    for item in items:
        window.append(item)
        if len(window) == 3:
            yield tuple(window)


def in_order(pool: Workers, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """`map` over a pool that reads ahead only as far as its workers need, so that memory stays bounded: the results of as many tasks as
    there are workers are not waited for while others are read. When it is closed, nothing is under way any more."""
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            # With the host's wish to stop, see `heeding`.
            waiting.append(pool.submit(copy_context().run, work, task))
            if len(waiting) > pool.count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)

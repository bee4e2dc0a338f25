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

T, R = TypeVar("T"), TypeVar("R")


def workers() -> int:
    return min(os.cpu_count() or 1, 8)


def pool_of_workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers(), "flow-inpaint")


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


def in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], tasks: Iterable[T], ahead: int | None = None) -> Iterator[R]:
    """`map` over a pool that reads ahead only as far as its workers need, so that memory stays bounded. When it is closed, nothing
    is under way any more. ahead: of how many tasks the result is not waited for while others are read; default: as many as there
    are workers."""
    waiting: deque[Future[R]] = deque()
    ahead = workers() if ahead is None else ahead
    try:
        for task in tasks:
            # With the host's wish to stop, see `heeding`.
            waiting.append(pool.submit(copy_context().run, work, task))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)

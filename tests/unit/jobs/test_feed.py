from __future__ import annotations

import asyncio

import pytest

from jobs.logs.feed import Feed


@pytest.mark.parametrize("steps", range(5))
async def test_a_cancel_that_comes_with_the_news_is_not_lost(steps: int) -> None:
    feed, news = Feed(), asyncio.Event()

    async def follow() -> None:
        while True:
            news.clear()
            await feed.wait(news, 0.5)

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0.01)
    news.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    follower.cancel()
    done, _ = await asyncio.wait([follower], timeout=2)
    assert done, "it went on as if it had not been cancelled"
    assert follower.cancelled()

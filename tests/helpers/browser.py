"""A headless Chromium, and a page that is watched."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1")


@contextmanager
def launched() -> Iterator[Browser | None]:
    """A headless Chromium; None where none is installed."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@contextmanager
def watched(page: Page) -> Iterator[Page]:
    """An empty page; in the end it must have had no error, and asked for nothing but the local."""
    page.set_viewport_size({"width": 1280, "height": 900})
    page.mouse.move(0, 0)
    errors: list[str] = []
    requests: list[str] = []
    listeners = {
        "console": lambda m: errors.append(m.text) if m.type == "error" else None,
        "pageerror": lambda error: errors.append(str(error)),
        "request": lambda request: requests.append(request.url),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    try:
        yield page
    finally:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
        page.goto("about:blank")
        page.context.clear_cookies()
    assert errors == []
    assert [url for url in requests if not url.startswith(LOCAL)] == []

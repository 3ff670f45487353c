"""A real Chromium with a WAV file as its microphone, and a page in it that notes every fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
DESKTOP = (1180, 900)
PHONE = (360, 740)
LOOPBACK = {"localhost", "127.0.0.1"}

# Takes down what the page asks of the microphone.
WITNESS = """
(() => {
  const real = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  window.witness = { asked: null, heard: [], rate: 0 };
  if (!real) return;
  navigator.mediaDevices.getUserMedia = (wanted) => {
    window.witness.asked = structuredClone(wanted);
    return real(window.plainMicrophone ? { audio: { channelCount: 1, echoCancellation: false,
      noiseSuppression: false, autoGainControl: false } } : wanted);
  };
})();
"""
PLAIN_MICROPHONE = "window.plainMicrophone = true;"
# Hears what the page plays. A worklet of its own, because other kinds of tap lose sound when the page is busy.
EARS = """
(() => {
  const addModule = AudioWorklet.prototype.addModule;
  AudioWorklet.prototype.addModule = async function (url) {
    await addModule.call(this, "/ear-worklet.js");
    return addModule.call(this, url);
  };
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode && this instanceof AudioWorkletNode && this.numberOfInputs === 0) {
      const ear = new AudioWorkletNode(this.context, "ear");
      window.witness.rate = this.context.sampleRate;
      ear.port.onmessage = ({ data }) => window.witness.heard.push(...data);
      connect.call(this, ear);
      connect.call(ear, to);
    }
    return connect.call(this, to, ...rest);
  };
})();
"""
# Served by the tests' runtime: Chromium lets nobody answer for a worklet's script.
EAR_WORKLET = """
registerProcessor("ear", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.port.postMessage(data);
  }
  process([[input]]) {
    this.port.postMessage(input ?? new Float32Array(128));
    return true;
  }
});
"""


@dataclass
class Visit:
    """One open page and what was noticed about it."""

    page: Page
    context: BrowserContext
    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    expected: tuple[str, ...] = ()

    def watch(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._saw(request.url))
        self.page.on("websocket", lambda socket: self._saw(socket.url))

    def _note(self, line: ConsoleMessage) -> None:
        if line.type == "error":
            self.faults.append(f"{line.text} {line.location.get('url', '')}")

    def _saw(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"blob", "data"}:
            self.hosts.add(parts.hostname or url)

    def unexpected(self) -> list[str]:
        faults = [fault for fault in self.faults if not any(part in fault for part in self.expected)]
        return faults + sorted(self.hosts - LOOPBACK)


@asynccontextmanager
async def chromium(microphone: Path | None, *more: str) -> AsyncIterator[Browser]:
    """microphone None: a browser in which nobody answers for the microphone, so that it is refused."""
    flags = list(FLAGS)
    if microphone is not None:
        flags += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}%noloop"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, *more])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visit(
    browser: Browser, url: str, size: tuple[int, int] = DESKTOP, before: str = "", **options: Any
) -> AsyncIterator[Visit]:
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    try:
        await context.add_init_script(WITNESS + before)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        seen = Visit(page, context)
        seen.watch()
        await page.goto(url)
        yield seen
        assert seen.unexpected() == []
    finally:
        await context.close()

"""Which providers this release knows: for which part of an assistant, by which adapter, and which settings open them.

`check_with`: the model or voice that is asked for where nobody named one, from the vendor's own documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from aywa.adapters.llm.anthropic import AnthropicLlm
from aywa.adapters.llm.compatible import COMPATIBLE
from aywa.adapters.llm.custom_llm import CustomLlm
from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.stt.custom_transcriber import CustomTranscriberStt
from aywa.adapters.stt.deepgram import DeepgramStt
from aywa.adapters.tts.cartesia import CartesiaTts
from aywa.adapters.tts.custom_voice import CustomVoice
from aywa.adapters.tts.elevenlabs import ElevenLabsTts
from aywa.adapters.tts.openai import OpenAiTts
from aywa.boot.settings import PROVIDER_VARIABLES

MODEL, VOICE, TRANSCRIBER = "model", "voice", "transcriber"

_ASKED = {
    "groq": "llama-3.1-8b-instant",
    "openrouter": "openai/gpt-4.1-mini",
    "together-ai": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "deepinfra": "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "cerebras": "llama3.1-8b",
    "deep-seek": "deepseek-chat",
    "xai": "grok-4-fast-non-reasoning",
    "perplexity-ai": "sonar",
    "google": "gemini-2.5-flash-lite",
    "minimax": "MiniMax-M2",
    "mistral": "mistral-small-latest",
}


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """part: of an assistant, in which its name stands. wants: what opens it where that is no key; address: it has none of its
    own, so a base URL must be given."""

    provider: str
    part: str
    adapter: type
    check_with: str = ""
    wants: str = ""
    needs_address: bool = False

    @property
    def key_variable(self) -> str:
        """The environment variable with its key; empty when there is none."""
        prefix = PROVIDER_VARIABLES.get(self.provider)
        return f"{prefix}_API_KEY" if prefix and not self.wants else ""

    @property
    def url_variable(self) -> str:
        """The environment variable with another base URL; empty when there is none."""
        prefix = PROVIDER_VARIABLES.get(self.provider)
        return f"{prefix}_BASE_URL" if prefix and not self.wants else ""

    @property
    def lacking(self) -> tuple[str, str]:
        """What is missing where it cannot be asked, and the mend."""
        if self.wants:
            return f"has no {self.wants}", f"set {self.part}.{self.wants}"
        if self.needs_address:
            return "has no base URL", f"set {self.url_variable}, or baseUrl in a credential"
        return "has no key", f"set {self.key_variable} or make a credential"


KNOWN_PROVIDERS: tuple[KnownProvider, ...] = (
    KnownProvider("openai", MODEL, OpenAiLlm, "gpt-4.1"),
    KnownProvider("anthropic", MODEL, AnthropicLlm, "claude-sonnet-4-5"),
    *(
        KnownProvider(name, MODEL, OpenAiLlm, _ASKED.get(name, ""), needs_address=not vendor.base_url)
        for name, vendor in COMPATIBLE.items()
    ),
    KnownProvider("custom-llm", MODEL, CustomLlm, wants="url"),
    # Voices that the vendors' own examples speak with.
    KnownProvider("11labs", VOICE, ElevenLabsTts, "JBFqnCBsd6RMkjVDRZzb"),
    KnownProvider("cartesia", VOICE, CartesiaTts, "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"),
    KnownProvider("openai", VOICE, OpenAiTts, "alloy"),
    KnownProvider("custom-voice", VOICE, CustomVoice, wants="server.url"),
    KnownProvider("deepgram", TRANSCRIBER, DeepgramStt, "nova-3"),
    KnownProvider("custom-transcriber", TRANSCRIBER, CustomTranscriberStt, wants="server.url"),
)


def known(part: str, provider: str) -> KnownProvider | None:
    """None: this release has no adapter for it there."""
    return next((one for one in KNOWN_PROVIDERS if (one.part, one.provider) == (part, provider)), None)

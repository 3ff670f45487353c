"""Local models: recogniser, voice, language model and turn model, run on this machine."""

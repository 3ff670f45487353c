"""Ships the fakes people test with: scripted callers, provider simulators, virtual time; refuses to be needed by a call."""

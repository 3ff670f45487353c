"""A telephone in software: a SIP and RTP peer with code of its own, so that it notices what the runtime gets wrong."""

"""Media sockets: telephony equipment that connects to the runtime by itself and brings a call's audio along."""

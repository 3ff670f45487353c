"""SIP without sockets: messages, transactions, dialogs, calls."""

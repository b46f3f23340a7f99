"""One folder per protocol, all of one shape: messages, session, transport, binding."""

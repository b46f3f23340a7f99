"""The supervisor: the composition root and its own socket. Protocols get their plans, their view of the plant and the store from here."""

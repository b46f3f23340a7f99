"""Rules and state. Nothing here opens a socket, reads a clock or draws a random number: all of that is handed in."""

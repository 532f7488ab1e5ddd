"""One reader per corpus; each yields the same `Clip`."""

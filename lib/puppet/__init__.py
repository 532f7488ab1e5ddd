"""The embedded corpus: speech and faces with known factors, a pure function of a small specification."""

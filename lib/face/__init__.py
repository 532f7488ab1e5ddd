"""Geometry that every method shares: topology and regions, landmarks, rig, FLAME, alignment, rendering."""

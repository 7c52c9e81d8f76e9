"""Factories: one per stage, each turning arguments into cfgs, a manifest and batch files."""

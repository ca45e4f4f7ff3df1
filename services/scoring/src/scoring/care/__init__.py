"""Fitting the model, its versions and its schedule."""

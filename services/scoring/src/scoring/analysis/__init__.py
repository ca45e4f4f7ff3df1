"""The models for analysts: files in, files out, from the command line `scoring`."""

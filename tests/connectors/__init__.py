"""Tests of the connectors: on recorded exchanges, without network."""

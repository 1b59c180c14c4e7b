"""Servers, clusters, faults, and builders of data that several test modules use."""

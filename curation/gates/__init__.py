"""The conditions of the gate, by which matched images stay: options, checks, and the tasks that read a file.

How Spark joins what is known of images and brings copies together is in `gating`.
"""

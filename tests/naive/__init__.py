"""Naive twins: each fast thing once more, written from its definition in the plainest Python."""

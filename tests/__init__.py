"""Tests by room: tests/ROOM holds those of the packages' folder of that name."""

"""Statements of hosts about the use of their images: robots.txt, ai.txt, tdmrep.json and rsl.xml."""

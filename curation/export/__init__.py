"""Write new folders from a finished run: in the forms of other programs, or without some of its images."""

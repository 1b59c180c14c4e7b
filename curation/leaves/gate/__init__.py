"""The gate: decide which matched images stay, and with which texts. `steps` has its steps in order."""

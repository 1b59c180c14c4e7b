"""The gate: which matched images stay, and with which texts. Its steps are in `stage`, in their order."""

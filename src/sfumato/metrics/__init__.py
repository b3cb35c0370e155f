"""How far generated rows are from real ones, every figure beside its floor."""

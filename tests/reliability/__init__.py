"""What is left after kills, faults and power cuts."""

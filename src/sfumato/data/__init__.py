"""Data: toy sets, points from files, and the codec between their units and the network's."""

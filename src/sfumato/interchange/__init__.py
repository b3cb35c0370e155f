"""Models of other libraries read here, and ours written for them."""

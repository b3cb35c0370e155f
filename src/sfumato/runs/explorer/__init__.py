"""The explorer: a run as a page that draws with the run's own network, in the browser."""

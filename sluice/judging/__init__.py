"""Whether a challenger is good enough."""

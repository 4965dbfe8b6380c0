"""From signals to answers, and from answers to scores."""

"""Error rates, with how sure we are of them, and confusions."""

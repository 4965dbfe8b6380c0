"""Loss functionals: what is pushed down, what is pulled up, and how hard."""

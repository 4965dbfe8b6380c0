"""``python -m tools.bench``: see tools/bench/README.md."""

from tools.bench.run import main

main()

# Included by the Makefile.
.PHONY: bench benchlock

bench: $(READY) ## compare with what one would pick instead (about four hours; needs requirements-bench.lock)
	@$(UV) pip install --quiet --python $(BIN)/python -r requirements-bench.lock
	@$(BIN)/python -m benchmarks

benchlock: lock ## the same with the packages of the benchmarks
	$(UV) pip compile pyproject.toml --group dev --group bench $(RESOLVE) -c requirements.lock -o requirements-bench.lock

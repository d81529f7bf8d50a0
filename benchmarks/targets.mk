# Included by the Makefile.
.PHONY: bench benchlock

bench: $(READY) ## compare with what one would use instead (about four hours; installs requirements-bench.lock)
	@$(UV) pip install --quiet --python $(BIN)/python -r requirements-bench.lock
	@$(BIN)/python -m benchmarks

benchlock: lock ## as lock, then the benchmarks' packages into requirements-bench.lock
	$(UV) pip compile pyproject.toml --group dev --group bench $(RESOLVE) -c requirements.lock -o requirements-bench.lock

# Lint targets; included by the Makefile.

##@ Lint
.PHONY: lint
lint: $(B)/penstock man ## layers, names, banned calls, long functions, tables, documents named, completion, dashboards, packages, format
	$(Q)tests/lint/lint.sh $(B)/penstock

.PHONY: format
format: ## clang-format 14 over everything
	$(Q)FIX=1 tests/lint/format.sh

.PHONY: docs
docs: $(B)/penstock build/release/penstock-bench ## write docs/OPTIONS.md, METRICS.md, conf/penstock.yaml and shell completion from the tables
	$(Q)$(B)/penstock docs options >$(B)/OPTIONS.md && mv $(B)/OPTIONS.md docs/OPTIONS.md
	$(Q)$(B)/penstock docs metrics >$(B)/METRICS.md && mv $(B)/METRICS.md docs/METRICS.md
	$(Q)$(B)/penstock docs yaml >$(B)/penstock.yaml && mv $(B)/penstock.yaml conf/penstock.yaml
	$(Q)$(B)/penstock docs bash >$(B)/penstock.bash && mv $(B)/penstock.bash packaging/common/completions/penstock.bash
	$(Q)$(B)/penstock docs zsh >$(B)/_penstock && mv $(B)/_penstock packaging/common/completions/_penstock
	$(Q)build/release/penstock-bench bash >$(B)/penstock-bench.bash && mv $(B)/penstock-bench.bash packaging/common/completions/penstock-bench.bash
	$(Q)build/release/penstock-bench zsh >$(B)/_penstock-bench && mv $(B)/_penstock-bench packaging/common/completions/_penstock-bench

.PHONY: man
man: $(B)/penstock build/release/penstock-bench ## write the manual pages, from the same tables, to build/man
	$(Q)mkdir -p build/man
	$(Q)$(B)/penstock docs man1 >build/man/penstock.1
	$(Q)$(B)/penstock docs man5 >build/man/penstock.yaml.5
	$(Q)build/release/penstock-bench man >build/man/penstock-bench.1

.PHONY: tidy
tidy: ## clang-tidy 14 (advice)
	$(Q)printf '%s\n' $(SRCS) | xargs -P 2 -I {} clang-tidy-14 --quiet \
		--config-file=tests/lint/tidy.yaml {} -- $(filter-out -flto=auto -Werror,$(ALL_CFLAGS))

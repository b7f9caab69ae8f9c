# Lint targets; included by the Makefile.

##@ Lint
.PHONY: lint
lint: $(B)/penstock ## layers, names, banned calls, long functions, tables, dashboards, format
	$(Q)tests/lint/lint.sh $(B)/penstock

.PHONY: format
format: ## clang-format 14 over everything
	$(Q)FIX=1 tests/lint/format.sh

.PHONY: docs
docs: $(B)/penstock ## write docs/OPTIONS.md, docs/METRICS.md and conf/penstock.yaml from the tables
	$(Q)$(B)/penstock docs options >$(B)/OPTIONS.md && mv $(B)/OPTIONS.md docs/OPTIONS.md
	$(Q)$(B)/penstock docs metrics >$(B)/METRICS.md && mv $(B)/METRICS.md docs/METRICS.md
	$(Q)$(B)/penstock docs yaml >$(B)/penstock.yaml && mv $(B)/penstock.yaml conf/penstock.yaml

.PHONY: tidy
tidy: ## clang-tidy 14 (advice)
	$(Q)printf '%s\n' $(SRCS) | xargs -P 2 -I {} clang-tidy-14 --quiet \
		--config-file=tests/lint/tidy.yaml {} -- $(filter-out -flto=auto -Werror,$(ALL_CFLAGS))

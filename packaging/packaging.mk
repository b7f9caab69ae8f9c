# What gets installed, and the packages; included by the Makefile.
#
#   DESTDIR is put before everything; PREFIX is /usr/local, in packages /usr.
#   build/packages/ gets the packages, build/packages/work/ is where they are made.

##@ Installing and packages
PREFIX   ?= /usr/local
BASH_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_DIR  ?= $(PREFIX)/share/zsh/site-functions

EXAMPLES    := $(filter-out conf/penstock.yaml,$(sort $(wildcard conf/*.yaml)))
DOCUMENTS   := README.md docs/OPTIONS.md docs/METRICS.md docs/KAFKA.md docs/KAFKA-FIELDS.md
COMPLETIONS := packaging/common/completions
MONITORING  := packaging/common/monitoring

# install-into FOLDER, FILES
install-into = install -d $(DESTDIR)$(1) && install -m 644 $(2) $(DESTDIR)$(1)/
# install-document FOLDER, FILE: with links that lead to where things are installed
install-document = install -d $(DESTDIR)$(1) && packaging/document.sh $(2) $(DOCUMENTS) $(EXAMPLES) >$(DESTDIR)$(1)/$(notdir $(2)) && \
	chmod 644 $(DESTDIR)$(1)/$(notdir $(2))

.PHONY: package-build
package-build: all bench-tools man

.PHONY: install
install: all man install-data ## install the program, its configuration and documentation under PREFIX (and DESTDIR)
	install -D -m 755 $(B)/penstock $(DESTDIR)$(PREFIX)/bin/penstock
	$(call install-into,$(PREFIX)/share/man/man1,build/man/penstock.1)
	$(call install-into,$(PREFIX)/share/man/man5,build/man/penstock.yaml.5)

# What needs no build. Files made in tls/ get its group, so that penstock can read keys (its group is the packages' to set).
.PHONY: install-data
install-data:
	install -d $(DESTDIR)/etc/penstock && install -d -m 2750 $(DESTDIR)/etc/penstock/tls
	install -m 640 conf/penstock.yaml $(DESTDIR)/etc/penstock/penstock.yaml
	install -D -m 644 packaging/common/60-penstock.conf $(DESTDIR)/etc/sysctl.d/60-penstock.conf
	install -D -m 644 packaging/common/penstock.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/penstock.conf
	$(foreach file,$(DOCUMENTS),$(call install-document,$(PREFIX)/share/doc/penstock,$(file)) && ):
	$(call install-into,$(PREFIX)/share/doc/penstock/examples,$(EXAMPLES))
	$(call install-into,$(PREFIX)/share/doc/penstock/examples/file-log,$(wildcard packaging/common/file-log/*))
	install -D -m 644 $(COMPLETIONS)/penstock.bash $(DESTDIR)$(BASH_DIR)/penstock
	$(call install-into,$(ZSH_DIR),$(COMPLETIONS)/_penstock)
	$(call install-into,$(PREFIX)/share/penstock/grafana,$(MONITORING)/grafana.json)
	$(call install-into,$(PREFIX)/share/penstock/prometheus,$(MONITORING)/alerts.yml)

.PHONY: install-bench
install-bench: bench-tools man install-bench-data ## install the load generator likewise
	install -D -m 755 build/release/penstock-bench $(DESTDIR)$(PREFIX)/bin/penstock-bench
	$(call install-into,$(PREFIX)/share/man/man1,build/man/penstock-bench.1)

.PHONY: install-bench-data
install-bench-data:
	$(call install-document,$(PREFIX)/share/doc/penstock-bench,bench/generator/README.md)

# A copy of the sources, so that no object of this tree gets into a package and no package's into this tree.
PACKAGES := build/packages

.PHONY: deb
deb: ## Debian packages of this tree, in build/packages/ (VERSION= gives them another version)
	$(Q)packaging/deb.sh $(PACKAGES) $(VERSION) $(COMMIT)

.PHONY: rpm
rpm: ## rpm packages of this tree, in build/packages/ (RPM="--without bundled": shared wolfSSL and ZooKeeper client)
	$(Q)packaging/rpm.sh $(PACKAGES) $(VERSION) $(COMMIT) $(RPM)

# Not part of `check`: it builds five times and installs in clean systems. SUITES="bookworm trixie rpm" is all of it.
SUITES ?= bookworm trixie rpm

.PHONY: package-check
package-check: ## packages in clean systems: install, reload, upgrade under traffic, remove; wants root (25 minutes; SUITES=)
	$(Q)tests/lab/deps.sh packages
	$(Q)tests/packages/check.py $(SUITES)

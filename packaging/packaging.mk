# What gets installed, and the packages; included by the Makefile.
#
#   DESTDIR is put before everything; PREFIX is /usr/local, in packages /usr.
#   build/packages/ gets the packages, build/packages/work/ is where they are made.

##@ Installing and packages
PREFIX   ?= /usr/local
BASH_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_DIR  ?= $(PREFIX)/share/zsh/site-functions

EXAMPLES    := $(filter-out conf/penstock.yaml,$(sort $(wildcard conf/*.yaml)))
# `make man` leaves them in build/man.
HAS_MAN     := $(wildcard src/cli/cli_man.c)
MAN_BENCH    = $(sort $(wildcard build/man/penstock-bench*))
MAN          = $(filter-out $(MAN_BENCH),$(sort $(wildcard build/man/*.[1-8])))
COMPLETIONS := packaging/common/completions
MONITORING  := packaging/common/monitoring

# install-into FOLDER, FILES: nothing where there are no files
install-into = $(if $(strip $(2)),install -d $(DESTDIR)$(1) && install -m 644 $(2) $(DESTDIR)$(1)/)
install-man  = $(foreach section,1 5 7 8,$(call install-into,$(PREFIX)/share/man/man$(section),$(filter %.$(section),$(1))) $(newline))

define newline


endef

.PHONY: package-build
package-build: all bench-tools $(if $(HAS_MAN),man)

.PHONY: install
install: all $(if $(HAS_MAN),man) ## install the program, its configuration and documentation under PREFIX (and DESTDIR)
	install -D -m 755 $(B)/penstock $(DESTDIR)$(PREFIX)/bin/penstock
	install -d $(DESTDIR)/etc/penstock && install -d -m 750 $(DESTDIR)/etc/penstock/tls
	install -m 640 conf/penstock.yaml $(DESTDIR)/etc/penstock/penstock.yaml
	install -D -m 644 packaging/common/60-penstock.conf $(DESTDIR)/etc/sysctl.d/60-penstock.conf
	install -D -m 644 packaging/common/penstock.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/penstock.conf
	install -D -m 644 packaging/common/modules-load.conf $(DESTDIR)$(PREFIX)/lib/modules-load.d/penstock.conf
	$(call install-into,$(PREFIX)/share/doc/penstock,README.md docs/OPTIONS.md docs/METRICS.md)
	$(call install-into,$(PREFIX)/share/doc/penstock/examples,$(EXAMPLES))
	$(call install-into,$(PREFIX)/share/doc/penstock/examples/file-log,$(wildcard packaging/common/file-log/*))
	$(if $(wildcard $(COMPLETIONS)/penstock.bash),install -D -m 644 $(COMPLETIONS)/penstock.bash $(DESTDIR)$(BASH_DIR)/penstock)
	$(call install-into,$(ZSH_DIR),$(wildcard $(COMPLETIONS)/_penstock))
	$(call install-into,$(PREFIX)/share/penstock/grafana,$(wildcard $(MONITORING)/*.json))
	$(call install-into,$(PREFIX)/share/penstock/prometheus,$(wildcard $(MONITORING)/*.yml $(MONITORING)/*.yaml))
	$(call install-man,$(MAN))

.PHONY: install-bench
install-bench: bench-tools $(if $(HAS_MAN),man) ## install the load generator likewise
	install -D -m 755 build/release/penstock-bench $(DESTDIR)$(PREFIX)/bin/penstock-bench
	$(call install-into,$(PREFIX)/share/doc/penstock-bench,bench/README.md)
	$(call install-man,$(MAN_BENCH))

# A copy of the sources, so that no object of this tree gets into a package and no package's into this tree.
PACKAGES := build/packages
DEB_WORK := $(PACKAGES)/work/penstock-$(VERSION)

.PHONY: deb
deb: ## Debian packages of this tree, in build/packages/ (VERSION= gives them another version)
	$(Q)packaging/deb.sh $(PACKAGES) $(VERSION) $(COMMIT)

.PHONY: rpm
rpm: ## rpm packages of this tree, in build/packages/ (RPM="--without bundled": shared wolfSSL and ZooKeeper client)
	$(Q)packaging/rpm.sh $(PACKAGES) $(VERSION) $(COMMIT) $(RPM)

# Not part of `check`: it builds five times and installs in clean systems. SUITES="bookworm trixie rpm" is all of it.
SUITES ?= bookworm trixie rpm

.PHONY: package-check
package-check: ## packages in clean systems: install, reload, upgrade under traffic, remove; wants root (20 minutes; SUITES=)
	$(Q)tests/lab/deps.sh packages
	$(Q)tests/packages/check.py $(SUITES)

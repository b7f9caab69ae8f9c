#!/bin/sh
# No test, bench or lint of Python's names what there is none of. Imports that nobody seems to use
# may be fixtures of pytest's.
set -u
cd "$(dirname "$0")/../.." || exit 1
! pyflakes3 $(find bench tests -name '*.py') | grep -v 'imported but unused\|redefinition of unused'

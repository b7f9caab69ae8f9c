# Sourced by the shell scripts of the lab: where things live. settings.py says the same for Python.
PENSTOCK_CACHE=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/penstock} # downloads, kept
JARS=$PENSTOCK_CACHE/jars-pulsar-4.0.8
VENV=$PENSTOCK_CACHE/venv-lab
export PENSTOCK_CACHE

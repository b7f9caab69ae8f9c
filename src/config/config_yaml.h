/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_yaml: what the files that know libyaml share.
 */
#pragma once

#include <yaml.h>

#include "config_priv.h"

#define REPORT(read, mark, ...) \
	config_error((read)->errors, (mark).file, (mark).line, (mark).column, __VA_ARGS__)

struct config_mark config_yaml_mark(const char *file, const yaml_mark_t *mark);
/* One document without anchors and aliases, and without tags unless they are taken (and ignored);
 * the caller deletes it. False: errors reported. */
MUST_USE bool config_yaml_load(struct config_errors *errors, const char *file, struct span text,
			       bool takes_tags, yaml_document_t *ret_document);
/* False if the file has no keys at all. */
bool config_walk(struct config_read *read, const char *file, yaml_document_t *document);

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * For tests of one conversation each (kafka_talk.h): what is said in it, begun and ended with the
 * test.
 */
#pragma once

#include "kafka_talk.h"

static struct script script;

static inline int script_begin(void **state)
{
	(void)state;
	script = (struct script){ 0 };
	talk_begin();
	return 0;
}

static inline int script_end(void **state)
{
	(void)state;
	script_free(&script);
	talk_end();
	return 0;
}

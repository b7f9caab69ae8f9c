/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire: what every parser of client or broker bytes answers.
 */
#pragma once

enum wire {
	WIRE_OK,
	WIRE_MORE, /* a correct beginning: more bytes are needed */
	WIRE_BAD,  /* cannot become correct */
};

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_reach: for now nothing.
 */
#include "cli_doctor.h"

void cli_doctor_zookeeper(struct doctor *doctor)
{
	(void)doctor;
}

void cli_doctor_brokers(struct doctor *doctor)
{
	(void)doctor;
}

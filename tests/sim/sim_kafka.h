/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_kafka: connections of Kafka: requests that are answered in order by a broker, some of whose
 * answers name brokers. Frames are written and read here on purpose without src/wire.
 */
#pragma once

#include "sim_flow.h"
#include "sim_talk.h"

#define SIM_KAFKA_PORT	   9092 /* of the model brokers */
#define SIM_KAFKA_BASE	   6700 /* where penstock listens for node 0 */
#define SIM_KAFKA_HOST	   "gw.sim"
#define SIM_KAFKA_USER	   "sim"
#define SIM_KAFKA_PASSWORD "secret"

/* Gives the flow its requests, and the node it wants. */
void sim_kafka_make(struct sim_flow *flow);
void sim_kafka_begin(struct sim_flow *flow, const struct sim_wire *wire);
bool sim_kafka_is_done(const struct sim_flow *flow);
void sim_kafka_show(const struct sim_flow *flow);
void sim_kafka_check(const struct sim_flow *flow);
/* A broker's end, before it is known whose it is. */
void sim_kafka_accept(struct sim_end *end, uint32_t broker);

// SPDX-License-Identifier: Apache-2.0
/*
 * report.c - the result of a load, as a table or as JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <cJSON.h>

#include "tools/load/load.h"

static const struct {
	const char *name;
	double share;
} quantiles[] = {
	{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1},
};

#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static double per_second(uint64_t count, double seconds)
{
	return seconds > 0 ? (double)count / seconds : 0;
}

static void print_what(const struct load_config *config)
{
	printf("load: %u functions of ", config->functions);
	if (config->read_share >= 0)
		printf("%u operations (%.1f %% reads)", config->reads + config->writes,
		       config->read_share * 100);
	else
		printf("%u writes and %u reads", config->writes, config->reads);
	printf(", values of %u bytes, %" PRIu64 " keys, ", config->value_bytes, config->keys);
	if (config->exponent > 0)
		printf("Zipf %g", config->exponent);
	else
		printf("uniform");
	printf(", %s\n",
	       config->one_packet ? "all functions in one submit" : "one submit for each function");
	if (config->rate > 0)
		printf("      open loop: %g/s, %s, at most %u in flight", config->rate,
		       config->constant ? "evenly spaced" : "Poisson", config->clients);
	else
		printf("      closed loop: %u clients", config->clients);
	printf(", %u threads, seed %" PRIu64 "\n", config->threads, config->seed);
}

static void print_errors(const struct load_counts *counts)
{
	bool any = false;

	for (int i = 0; i < LOAD_ERRORS; i++) {
		if (counts->errors[i] == 0)
			continue;
		printf("%s%s %" PRIu64, any ? ", " : "errors        ", abaft_error_name(i),
		       counts->errors[i]);
		any = true;
	}
	printf("%s\n", any ? "" : "errors        none");
}

void load_print(const struct load *load, const struct load_counts *counts, double seconds)
{
	const struct latency *latency = &counts->latency;

	print_what(&load->config);
	printf("\nseconds       %.2f\n", seconds);
	printf("transactions  %" PRIu64 " committed (%.1f/s), %" PRIu64
	       " aborted on purpose, %" PRIu64 " failed, %" PRIu64 " of unknown outcome\n",
	       counts->committed, per_second(counts->committed, seconds), counts->aborted,
	       counts->failed, counts->unknown);
	printf("operations    %" PRIu64 " reads (%" PRIu64 " found nothing), %" PRIu64 " writes\n",
	       counts->reads, counts->not_found, counts->writes);
	printf("retries       %" PRIu64 " run again with the same id, %" PRIu64
	       " with a new one, %" PRIu64 " packets sent again, %" PRIu64
	       " answers to wait (BUSY, IN_PROGRESS)\n",
	       counts->reruns, counts->new_ids, counts->client.resends, counts->client.busy);
	print_errors(counts);
	printf("\nlatency       from the intended start\n");
	for (size_t i = 0; i < QUANTILES; i++)
		printf("  %-8s %12.1f us\n", quantiles[i].name,
		       (double)latency_quantile(latency, quantiles[i].share) / 1000);
	printf("  %-8s %12.1f us\n", "mean", latency_mean(latency) / 1000);
	if (counts->not_started)
		printf("\nTOO SLOW: %" PRIu64 " more transactions were due and never began; their "
		       "latencies are missing above. Lower --rate or raise --clients.\n",
		       counts->not_started);
}

static bool number(cJSON *object, const char *name, double value)
{
	return cJSON_AddNumberToObject(object, name, value) != NULL;
}

static bool json_parameters(cJSON *root, const struct load_config *config)
{
	cJSON *object = cJSON_AddObjectToObject(root, "parameters");

	return object && number(object, "functions", config->functions) &&
	       number(object, "reads", config->reads) && number(object, "writes", config->writes) &&
	       (config->read_share < 0 ? cJSON_AddNullToObject(object, "read_share") != NULL
				       : number(object, "read_share", config->read_share)) &&
	       number(object, "abort_share", config->abort_share) &&
	       number(object, "value_bytes", config->value_bytes) &&
	       number(object, "keys", (double)config->keys) &&
	       number(object, "zipf", config->exponent) && number(object, "rate", config->rate) &&
	       cJSON_AddStringToObject(object, "arrivals",
				       config->rate <= 0  ? "closed"
				       : config->constant ? "constant"
							  : "poisson") &&
	       number(object, "clients", config->clients) &&
	       number(object, "threads", config->threads) &&
	       number(object, "seed", (double)config->seed) &&
	       cJSON_AddBoolToObject(object, "one_packet", config->one_packet);
}

static bool json_errors(cJSON *root, const struct load_counts *counts)
{
	cJSON *object = cJSON_AddObjectToObject(root, "errors");
	bool ok = object != NULL;

	for (int i = 0; ok && i < LOAD_ERRORS; i++)
		if (counts->errors[i])
			ok = number(object, abaft_error_name(i), (double)counts->errors[i]);
	return ok;
}

static bool json_latency(cJSON *root, const struct latency *latency)
{
	cJSON *object = cJSON_AddObjectToObject(root, "latency_us");
	bool ok = object && number(object, "mean", latency_mean(latency) / 1000);

	for (size_t i = 0; ok && i < QUANTILES; i++)
		ok = number(object, quantiles[i].name,
			    (double)latency_quantile(latency, quantiles[i].share) / 1000);
	return ok;
}

char *load_json(const struct load *load, const struct load_counts *counts, double seconds)
{
	cJSON *root = cJSON_CreateObject();
	char *text = NULL;
	bool ok = root && json_parameters(root, &load->config) && load_machine_json(root) &&
		  number(root, "start_unix_s", (double)load->start_unix_us / 1e6) &&
		  number(root, "seconds", seconds) &&
		  number(root, "committed", (double)counts->committed) &&
		  number(root, "committed_per_second", per_second(counts->committed, seconds)) &&
		  number(root, "aborted", (double)counts->aborted) &&
		  number(root, "failed", (double)counts->failed) &&
		  number(root, "unknown", (double)counts->unknown) &&
		  number(root, "not_started", (double)counts->not_started) &&
		  number(root, "reads", (double)counts->reads) &&
		  number(root, "not_found", (double)counts->not_found) &&
		  number(root, "writes", (double)counts->writes) &&
		  number(root, "reruns", (double)counts->reruns) &&
		  number(root, "new_ids", (double)counts->new_ids) &&
		  number(root, "resends", (double)counts->client.resends) &&
		  number(root, "busy", (double)counts->client.busy) &&
		  number(root, "packets_sent", (double)counts->client.packets_sent) &&
		  number(root, "packets_received", (double)counts->client.packets_received) &&
		  json_errors(root, counts) && json_latency(root, &counts->latency);

	if (ok)
		text = cJSON_Print(root);
	cJSON_Delete(root);
	return text;
}

int load_print_json(const struct load *load, const struct load_counts *counts, double seconds)
{
	char *text = load_json(load, counts, seconds);

	if (!text)
		return -ENOMEM;
	puts(text);
	cJSON_free(text);
	return 0;
}

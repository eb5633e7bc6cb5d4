/* What a plugin imports of a Proxy-Wasm host, as the standard names it, and a few words around it. */
#ifndef PROXY_WASM_H
#define PROXY_WASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define PW_C extern "C"
#else
#define PW_C
#endif

/* A callback, which the host finds by its name. */
#define PW_EXPORT(name) PW_C __attribute__((export_name(#name), visibility("default")))
#define PW_IMPORT(name) PW_C __attribute__((import_module("env"), import_name(#name)))
/* The version of the ABI that the plugin is made for: `PW_ABI(0_2_1)`. */
#define PW_ABI(version) PW_EXPORT(proxy_abi_version_##version) void proxy_abi_version_##version(void) {}

enum { PW_OK = 0, PW_NOT_FOUND = 1, PW_BAD_ARGUMENT = 2, PW_EMPTY = 7, PW_CAS_MISMATCH = 8 };
enum { PW_CONTINUE = 0, PW_PAUSE = 1 };
enum { PW_TRACE, PW_DEBUG, PW_INFO, PW_WARN, PW_ERROR, PW_CRITICAL };
enum {
  PW_REQUEST_BODY,
  PW_RESPONSE_BODY,
  PW_DOWNSTREAM_DATA,
  PW_UPSTREAM_DATA,
  PW_CALL_RESPONSE_BODY,
  PW_GRPC_MESSAGE,
  PW_VM_CONFIGURATION,
  PW_PLUGIN_CONFIGURATION
};
enum {
  PW_REQUEST_HEADERS,
  PW_REQUEST_TRAILERS,
  PW_RESPONSE_HEADERS,
  PW_RESPONSE_TRAILERS,
  PW_GRPC_INITIAL_METADATA,
  PW_GRPC_TRAILING_METADATA,
  PW_CALL_RESPONSE_HEADERS,
  PW_CALL_RESPONSE_TRAILERS
};
enum { PW_REQUEST_STREAM, PW_RESPONSE_STREAM, PW_DOWNSTREAM, PW_UPSTREAM };
enum { PW_COUNTER, PW_GAUGE, PW_HISTOGRAM };

PW_IMPORT(proxy_log) int proxy_log(int level, const char *message, size_t size);
PW_IMPORT(proxy_get_log_level) int proxy_get_log_level(int *level);
PW_IMPORT(proxy_get_current_time_nanoseconds) int proxy_get_current_time_nanoseconds(uint64_t *time);
PW_IMPORT(proxy_set_tick_period_milliseconds) int proxy_set_tick_period_milliseconds(uint32_t period);

PW_IMPORT(proxy_get_buffer_bytes)
int proxy_get_buffer_bytes(int buffer, size_t start, size_t length, char **bytes, size_t *size);
PW_IMPORT(proxy_set_buffer_bytes)
int proxy_set_buffer_bytes(int buffer, size_t start, size_t length, const char *bytes, size_t size);

PW_IMPORT(proxy_get_header_map_pairs) int proxy_get_header_map_pairs(int map, char **pairs, size_t *size);
PW_IMPORT(proxy_set_header_map_pairs) int proxy_set_header_map_pairs(int map, const char *pairs, size_t size);
PW_IMPORT(proxy_get_header_map_value)
int proxy_get_header_map_value(int map, const char *name, size_t name_size, char **value, size_t *size);
PW_IMPORT(proxy_add_header_map_value)
int proxy_add_header_map_value(int map, const char *name, size_t name_size, const char *value, size_t size);
PW_IMPORT(proxy_replace_header_map_value)
int proxy_replace_header_map_value(int map, const char *name, size_t name_size, const char *value, size_t size);
PW_IMPORT(proxy_remove_header_map_value) int proxy_remove_header_map_value(int map, const char *name, size_t name_size);

PW_IMPORT(proxy_get_property)
int proxy_get_property(const char *path, size_t path_size, char **value, size_t *size);

PW_IMPORT(proxy_send_local_response)
int proxy_send_local_response(uint32_t status, const char *details, size_t details_size, const char *body,
                              size_t body_size, const char *pairs, size_t pairs_size, int32_t grpc_status);
PW_IMPORT(proxy_http_call)
int proxy_http_call(const char *upstream, size_t upstream_size, const char *pairs, size_t pairs_size, const char *body,
                    size_t body_size, const char *trailers, size_t trailers_size, uint32_t timeout, uint32_t *call);
PW_IMPORT(proxy_set_effective_context) int proxy_set_effective_context(uint32_t context);
PW_IMPORT(proxy_continue_stream) int proxy_continue_stream(int stream);
PW_IMPORT(proxy_close_stream) int proxy_close_stream(int stream);

PW_IMPORT(proxy_get_shared_data)
int proxy_get_shared_data(const char *key, size_t key_size, char **value, size_t *size, uint32_t *version);
PW_IMPORT(proxy_set_shared_data)
int proxy_set_shared_data(const char *key, size_t key_size, const char *value, size_t size, uint32_t version);

PW_IMPORT(proxy_define_metric) int proxy_define_metric(int kind, const char *name, size_t size, uint32_t *metric);
PW_IMPORT(proxy_increment_metric) int proxy_increment_metric(uint32_t metric, int64_t offset);
PW_IMPORT(proxy_get_metric) int proxy_get_metric(uint32_t metric, uint64_t *value);

/* Of version 0.1.0 only. */
PW_IMPORT(proxy_get_configuration) int proxy_get_configuration(char **bytes, size_t *size);
PW_IMPORT(proxy_continue_request) int proxy_continue_request(void);

#endif

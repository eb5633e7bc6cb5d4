/*
 * veteran speaks ABI 0.1.0, whose callbacks for fields have two parameters, and finds the clock under WASI's older name.
 * It asks the upstream `people` in its root context, as plugins did then.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy_wasm.h"

PW_ABI(0_1_0)

__attribute__((import_module("wasi_unstable"), import_name("clock_time_get"))) int
unstable_clock_time_get(int clock, uint64_t precision, uint64_t *time);

static uint32_t waiting;

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t context, uint32_t parent) {
  (void)context;
  (void)parent;
}

PW_EXPORT(proxy_on_configure) int on_configure(uint32_t root, int size) {
  (void)root;
  char *text;
  size_t length;
  if (proxy_get_configuration(&text, &length) != PW_OK || length != (size_t)size) return 0;
  proxy_log(PW_INFO, text, length);
  free(text);
  return 1;
}

static char *appended(char *at, const char *text) {
  size_t size = strlen(text) + 1;
  memcpy(at, text, size);
  return at + size;
}

/* Fields as the ABI lays them out: their count, the sizes of each, and then the texts with a NUL after each. */
static size_t pairs(char *at, const char *const (*fields)[2], uint32_t count) {
  char *start = at;
  memcpy(at, &count, 4);
  at += 4;
  for (uint32_t index = 0; index < count; index++)
    for (int half = 0; half < 2; half++) {
      uint32_t size = (uint32_t)strlen(fields[index][half]);
      memcpy(at, &size, 4);
      at += 4;
    }
  for (uint32_t index = 0; index < count; index++)
    for (int half = 0; half < 2; half++) at = appended(at, fields[index][half]);
  return (size_t)(at - start);
}

PW_EXPORT(proxy_on_request_headers) int on_request_headers(uint32_t context, uint32_t count) {
  (void)count;
  /* In this version a field that is not there is an empty one. */
  char *nothing = NULL;
  size_t size = 1;
  if (proxy_get_header_map_value(PW_REQUEST_HEADERS, "x-missing", 9, &nothing, &size) != PW_OK || size != 0)
    proxy_log(PW_ERROR, "a missing field is not empty", 28);
  const char *const fields[][2] = {
      {":method", "GET"}, {":path", "/whoami"}, {":authority", "people"}, {"authorization", "Bearer bob"}};
  char question[256];
  uint32_t call;
  size_t question_size = pairs(question, fields, 4);
  if (proxy_http_call("people", 6, question, question_size, NULL, 0, NULL, 0, 2000, &call) != PW_OK) return PW_CONTINUE;
  waiting = context;
  return PW_PAUSE;
}

PW_EXPORT(proxy_on_http_call_response)
void on_http_call_response(uint32_t root, uint32_t call, uint32_t fields, uint32_t size, uint32_t trailers) {
  (void)root;
  (void)call;
  (void)fields;
  (void)trailers;
  char *name = NULL;
  size_t length = 0;
  uint64_t now = 0;
  proxy_get_buffer_bytes(PW_CALL_RESPONSE_BODY, 0, size, &name, &length);
  proxy_set_effective_context(waiting);
  proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-user", 6, name, length);
  unstable_clock_time_get(0, 0, &now);
  proxy_add_header_map_value(PW_REQUEST_HEADERS, "x-late", 6, now > 1700000000ull * 1000000000ull ? "yes" : "no", now > 1700000000ull * 1000000000ull ? 3 : 2);
  proxy_continue_request();
  free(name);
}

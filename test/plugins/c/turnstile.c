/*
 * turnstile lets so many requests pass as its configuration says, and counts them; a reactor on wasi-libc, whose printf
 * becomes log lines. A body is turned around both ways.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy_wasm.h"

PW_ABI(0_2_1)

static unsigned long limit;
static unsigned long passed;
static uint32_t turned_away;

static int set(int map, const char *name, const char *value) {
  return proxy_replace_header_map_value(map, name, strlen(name), value, strlen(value));
}

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t context, uint32_t parent) {
  (void)context;
  (void)parent;
}

PW_EXPORT(proxy_on_vm_start) bool on_vm_start(uint32_t root, size_t size) {
  (void)root;
  (void)size;
  const char *name = "turnstile_turned_away";
  const char *town = getenv("TOWN");
  printf("in %s\n", town == NULL ? "no town" : town);
  if (open("/etc/passwd", O_RDONLY) >= 0) fprintf(stderr, "there are files\n");
  return proxy_define_metric(PW_COUNTER, name, strlen(name), &turned_away) == PW_OK;
}

PW_EXPORT(proxy_on_configure) bool on_configure(uint32_t root, size_t size) {
  (void)root;
  char *text;
  size_t length;
  if (proxy_get_buffer_bytes(PW_PLUGIN_CONFIGURATION, 0, size, &text, &length) != PW_OK) return false;
  char *number = strndup(text == NULL ? "" : text, length);
  char *end;
  errno = 0;
  limit = strtoul(number, &end, 10);
  bool is_number = errno == 0 && end != number && *end == '\0';
  if (!is_number) fprintf(stderr, "'%s' is not how many may pass\n", number);
  free(number);
  free(text);
  return is_number;
}

PW_EXPORT(proxy_on_request_headers) int on_request_headers(uint32_t context, size_t fields, bool end_of_stream) {
  (void)context;
  (void)fields;
  (void)end_of_stream;
  char text[64];
  if (passed >= limit) {
    proxy_increment_metric(turned_away, 1);
    int size = snprintf(text, sizeof text, "%lu have passed", passed);
    proxy_send_local_response(429, NULL, 0, text, (size_t)size, NULL, 0, -1);
    return PW_PAUSE;
  }
  passed++;
  snprintf(text, sizeof text, "%lu", passed);
  set(PW_REQUEST_HEADERS, "x-passed", text);
  time_t now = time(NULL);
  strftime(text, sizeof text, "%Y", gmtime(&now));
  set(PW_REQUEST_HEADERS, "x-year", text);
  return PW_CONTINUE;
}

/* Waits for the whole body. */
static int turned_around(int buffer, size_t size, bool end_of_stream) {
  char *body;
  size_t length;
  if (!end_of_stream) return PW_PAUSE;
  if (proxy_get_buffer_bytes(buffer, 0, size, &body, &length) != PW_OK || length == 0) return PW_CONTINUE;
  char *turned = malloc(length);
  for (size_t at = 0; at < length; at++) turned[at] = body[length - 1 - at];
  proxy_set_buffer_bytes(buffer, 0, length, turned, length);
  free(turned);
  free(body);
  return PW_CONTINUE;
}

PW_EXPORT(proxy_on_request_body) int on_request_body(uint32_t context, size_t size, bool end_of_stream) {
  (void)context;
  return turned_around(PW_REQUEST_BODY, size, end_of_stream);
}

PW_EXPORT(proxy_on_response_body) int on_response_body(uint32_t context, size_t size, bool end_of_stream) {
  (void)context;
  return turned_around(PW_RESPONSE_BODY, size, end_of_stream);
}

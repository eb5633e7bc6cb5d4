/* clerk is a command, of ABI 0.2.0: its main runs once, at the start, and the callbacks find what it has prepared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_wasm.h"

PW_ABI(0_2_0)

static char **drawers;
enum { DRAWERS = 3 };

int main(void) {
  drawers = calloc(DRAWERS, sizeof *drawers);
  for (int at = 0; at < DRAWERS; at++)
    if (asprintf(&drawers[at], "drawer %d", at) < 0) return 1;
  puts("the clerk is in");
  return 0;
}

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t context, uint32_t parent) {
  (void)context;
  (void)parent;
}

PW_EXPORT(proxy_on_memory_allocate) void *on_memory_allocate(size_t size) { return malloc(size); }

PW_EXPORT(proxy_on_request_headers) int on_request_headers(uint32_t context, size_t fields, bool end_of_stream) {
  (void)end_of_stream;
  const char *name = "x-drawer";
  const char *drawer = drawers == NULL ? "none" : drawers[(context + fields) % DRAWERS];
  proxy_add_header_map_value(PW_REQUEST_HEADERS, name, strlen(name), drawer, strlen(drawer));
  return PW_CONTINUE;
}

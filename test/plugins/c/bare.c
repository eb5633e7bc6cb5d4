/* bare marks requests and answers; with no library at all, an allocator of a few lines included. */
#include "proxy_wasm.h"

PW_ABI(0_2_1)

extern char __heap_base;
static char *top = &__heap_base;
/* What the host wrote during a callback is of no use after it. */
static char *kept = &__heap_base;

PW_EXPORT(malloc) void *allocate(size_t size) {
  char *start = (char *)(((uintptr_t)top + 7) & ~(uintptr_t)7);
  size_t page = 65536;
  size_t end = (size_t)start + size;
  size_t pages = (end + page - 1) / page;
  size_t had = __builtin_wasm_memory_size(0);
  if (pages > had && __builtin_wasm_memory_grow(0, pages - had) == (size_t)-1) return NULL;
  top = start + size;
  return start;
}

#define TEXT(literal) (literal), sizeof(literal) - 1

static void say(const char *text, size_t size) { proxy_log(PW_INFO, text, size); }

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t context, uint32_t parent) {
  (void)context;
  (void)parent;
}

PW_EXPORT(proxy_on_vm_start) bool on_vm_start(uint32_t root, size_t size) {
  (void)root;
  (void)size;
  say(TEXT("bare is here"));
  return true;
}

PW_EXPORT(proxy_on_request_headers) int on_request_headers(uint32_t context, size_t fields, bool end_of_stream) {
  (void)context;
  (void)fields;
  char *value;
  size_t size;
  if (proxy_get_header_map_value(PW_REQUEST_HEADERS, TEXT("x-name"), &value, &size) == PW_OK)
    proxy_add_header_map_value(PW_REQUEST_HEADERS, TEXT("x-greeted"), value, size);
  proxy_replace_header_map_value(PW_REQUEST_HEADERS, TEXT("x-ends"), end_of_stream ? "yes" : "no ", 3);
  proxy_remove_header_map_value(PW_REQUEST_HEADERS, TEXT("x-removed"));
  top = kept;
  return PW_CONTINUE;
}

PW_EXPORT(proxy_on_response_headers) int on_response_headers(uint32_t context, size_t fields, bool end_of_stream) {
  (void)context;
  (void)fields;
  (void)end_of_stream;
  proxy_add_header_map_value(PW_RESPONSE_HEADERS, TEXT("x-made-of"), TEXT("nothing"));
  return PW_CONTINUE;
}

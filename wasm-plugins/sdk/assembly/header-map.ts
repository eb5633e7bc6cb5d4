import {
  proxy_add_header_map_value,
  proxy_get_header_map_pairs,
  proxy_get_header_map_size,
  proxy_get_header_map_value,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
  proxy_set_header_map_pairs,
} from "./abi";
import { AbiStatus, MapType } from "./abi-types";
import { HeaderCursor } from "./header-cursor";
import { decodePairs, encodePairs, Headers } from "./headers";
import { lendName, lendValue, lentName, lentNameSize, lentValue, lentValueSize } from "./lent-text";
import { clearReturned, returnNumber, returnPointer, returnSize, takeReturned } from "./memory";
import { decodeBuffer } from "./text";

/**
 * The fields of a message that passes through, held by the host: what is changed here goes on changed. Headers of the
 * request can be read in every callback of the stream, those of the response from `onResponseHeaders` on, trailers in their
 * own callbacks. Where a map is not there, reading finds nothing and changing answers false.
 */
export class HeaderMap {
  constructor(private readonly map: MapType) {}

  /** The first value of the name, or null; names match whatever their case. */
  get(name: string): string | null {
    const value = this.getBytes(name);
    return value === null ? null : decodeBuffer(value);
  }

  /** The first value of the name, or the fallback. */
  getOr(name: string, fallback: string): string {
    const value = this.get(name);
    return value === null ? fallback : value;
  }

  /** As `get`, as the bytes on the wire. */
  getBytes(name: string): ArrayBuffer | null {
    lendName(name);
    clearReturned();
    const answer = proxy_get_header_map_value(this.map, lentName, lentNameSize, returnPointer, returnSize);
    return answer == AbiStatus.Ok ? takeReturned() : null;
  }

  /** Whether there is a field of that name. */
  has(name: string): bool {
    return this.getBytes(name) !== null;
  }

  /**
   * Replaces every value of the name, or appends the field. False when the map is not there in this phase, or the name or
   * the value holds what no field may (such as a line end).
   */
  set(name: string, value: string): bool {
    lendName(name);
    lendValue(value);
    return proxy_replace_header_map_value(
      this.map, lentName, lentNameSize, lentValue, lentValueSize,
    ) == AbiStatus.Ok;
  }

  /** Appends a field. False as for `set`. */
  add(name: string, value: string): bool {
    lendName(name);
    lendValue(value);
    return proxy_add_header_map_value(
      this.map, lentName, lentNameSize, lentValue, lentValueSize,
    ) == AbiStatus.Ok;
  }

  /** Removes every value of the name; that there is none is fine. False when the map is not there in this phase. */
  remove(name: string): bool {
    lendName(name);
    return proxy_remove_header_map_value(this.map, lentName, lentNameSize) == AbiStatus.Ok;
  }

  /** Bytes that all the fields take in the format of the ABI, without reading one; 0 when the map is not there. */
  get byteSize(): i32 {
    store<u32>(returnNumber, 0);
    proxy_get_header_map_size(this.map, returnNumber);
    return load<i32>(returnNumber);
  }

  /** A copy of every field, pseudo fields included; empty when the map is not there in this phase. */
  all(): Headers {
    return decodePairs(this.pairs());
  }

  /** The fields one after the other, each read when it is asked for: what is cheapest to look through many. */
  cursor(): HeaderCursor {
    return new HeaderCursor(this.pairs());
  }

  /** Replaces every field, pseudo fields included. False as for `set`. */
  replaceAll(headers: Headers): bool {
    const pairs = encodePairs(headers);
    return proxy_set_header_map_pairs(this.map, changetype<usize>(pairs), pairs.byteLength) == AbiStatus.Ok;
  }

  private pairs(): ArrayBuffer {
    clearReturned();
    proxy_get_header_map_pairs(this.map, returnPointer, returnSize);
    return takeReturned();
  }
}
